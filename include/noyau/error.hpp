// The exceptions that Noyau throws. Each message names the operation, what was given, the rule and
// the remedy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace noyau {

/// The root of everything Noyau throws on a user's mistake or a machine's failure.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Error() override;
};

#define NOYAU_ERROR_TYPE(type, base) \
  class type : public base {         \
   public:                           \
    using base::base;                \
    ~type() override;                \
  };
NOYAU_ERROR_TYPE(ShapeError, Error)       ///< shapes, axes or sizes that do not fit
NOYAU_ERROR_TYPE(IndexError, ShapeError)  ///< a subscript out of range
NOYAU_ERROR_TYPE(DtypeError,
                 Error)  ///< a dtype for which the operation means nothing, or a lossy conversion
NOYAU_ERROR_TYPE(ValueError, Error)  ///< any other argument out of its range
NOYAU_ERROR_TYPE(
    CompileError,
    Error)  ///< a kernel that does not compile; carries the log and the numbered source
NOYAU_ERROR_TYPE(DeviceError, Error)  ///< a device that is absent, lost, or of another array
NOYAU_ERROR_TYPE(OutOfMemory, Error)  ///< bytes asked, in use and pooled
NOYAU_ERROR_TYPE(LaunchError, Error)  ///< a kernel that could not run
NOYAU_ERROR_TYPE(CacheError, Error)   ///< a cache directory that is refused
NOYAU_ERROR_TYPE(FileError, Error)  ///< a file that cannot be read, written or understood; names it
NOYAU_ERROR_TYPE(NotImplemented, Error)  ///< a valid request that Noyau cannot do yet
#undef NOYAU_ERROR_TYPE

/// A defect of Noyau itself, never the user's mistake: please report it.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
  ~InternalError() override;
};

}  // namespace noyau
