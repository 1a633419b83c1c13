// The key functions of the exceptions, so that their type information lives in this library alone.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/error.hpp"

namespace noyau {

Error::~Error() = default;
ShapeError::~ShapeError() = default;
IndexError::~IndexError() = default;
DtypeError::~DtypeError() = default;
ValueError::~ValueError() = default;
CompileError::~CompileError() = default;
DeviceError::~DeviceError() = default;
OutOfMemory::~OutOfMemory() = default;
LaunchError::~LaunchError() = default;
CacheError::~CacheError() = default;
FileError::~FileError() = default;
NotImplemented::~NotImplemented() = default;
InternalError::~InternalError() = default;

}  // namespace noyau
