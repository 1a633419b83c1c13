# find_package(noyau) + noyau::noyau from an installed, relocatable prefix.
include(CMakePackageConfigHelpers)
install(TARGETS noyau EXPORT noyau-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/noyau DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT noyau-targets NAMESPACE noyau:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/noyau)
configure_package_config_file(cmake/noyau-config.cmake.in ${PROJECT_BINARY_DIR}/noyau-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/noyau)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/noyau-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/noyau-config.cmake ${PROJECT_BINARY_DIR}/noyau-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/noyau)
