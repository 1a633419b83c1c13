// All of Noyau.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "noyau/array.hpp"
#include "noyau/device.hpp"
#include "noyau/dtype.hpp"
#include "noyau/error.hpp"
#include "noyau/grad.hpp"
#include "noyau/image.hpp"
#include "noyau/io.hpp"
#include "noyau/ops.hpp"
#include "noyau/precision.hpp"
#include "noyau/profile.hpp"
#include "noyau/random.hpp"
#include "noyau/shape.hpp"
#include "noyau/version.hpp"
