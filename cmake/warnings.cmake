# The warnings that every target of the project is built with, and its sanitizers. No target contracts
# a * b + c to one rounding: the interpreter, the reference evaluator and the tests' plain C++ must
# round as every backend does.
add_library(noyau_warnings INTERFACE)
target_compile_options(noyau_warnings INTERFACE -Wall -Wextra -Wshadow -Wconversion -ffp-contract=off)
# GCC 12 sees overflows and uninitialised reads in std::string and in its own vector headers when it inlines them.
target_compile_options(noyau_warnings INTERFACE -Wno-stringop-overflow -Wno-restrict -Wno-maybe-uninitialized)
if(NOYAU_WERROR)
  target_compile_options(noyau_warnings INTERFACE -Werror)
endif()
if(NOYAU_SANITIZE)
  target_compile_options(noyau_warnings INTERFACE -fsanitize=${NOYAU_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(noyau_warnings INTERFACE -fsanitize=${NOYAU_SANITIZE})
endif()
if(NOYAU_PARTIAL)
  target_link_options(noyau_warnings INTERFACE -Wl,--unresolved-symbols=ignore-all)
endif()
