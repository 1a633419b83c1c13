// What an Array tells without being evaluated, and arrays made from the host's memory.
// SPDX-License-Identifier: Apache-2.0
#include "noyau/array.hpp"

#include <fmt/format.h>

#include <vector>

#include "core/convert.hpp"
#include "core/device.hpp"
#include "core/graph.hpp"
#include "core/memory.hpp"

namespace noyau {
namespace {

const Node& node_of(const Array& array, const char* asked) {
  if (array) return *array.node();
  throw ValueError(fmt::format(
      "[{}] this Array holds nothing (it was default-constructed or moved from): assign one to it "
      "first",
      asked));
}

}  // namespace

const Shape& Array::shape() const { return node_of(*this, "shape").shape; }
DType Array::dtype() const { return node_of(*this, "dtype").dtype_of(output_); }
Device Array::device() const { return node_of(*this, "device").device; }
std::int64_t Array::size() const { return shape().elements(); }

Array Array::to(const Device& device) const {
  const Node& node = node_of(*this, "to");
  if (!device) {
    throw DeviceError("[to] given no device; take one from noyau::device(name)");
  }
  if (device == node.device) return *this;
  return make_node({.kind = NodeKind::transfer,
                    .dtype = dtype(),
                    .shape = node.shape,
                    .inputs = {this, 1},
                    .device = device,
                    .file = node.file,
                    .line = node.line});
}

namespace detail {

Array make_array_checked(const void* data, std::size_t count, DType stored, const Shape& shape,
                         DType dtype) {
  const std::int64_t elements = shape.elements();
  if (static_cast<std::int64_t>(count) != elements) {
    throw ShapeError(fmt::format(
        "[array] {} values do not fill the shape {}, which has {} elements: give as many values as "
        "the product of the extents",
        count, to_string(shape), elements));
  }
  const Device device = default_device();
  DeviceBackend& backend = device.backend();
  const auto bytes = static_cast<std::size_t>(byte_size(shape, dtype));
  const bool by_host = backend.limits().host_memory;
  BufferRef buffer =
      by_host ? memory::allocate_for_host(backend, bytes) : memory::allocate(backend, bytes);
  if (by_host) {
    convert_values(data, stored, buffer->data, dtype, elements);
  } else if (stored == dtype) {
    backend.copy_from_host(data, buffer->data, bytes);
  } else {
    std::vector<std::byte> converted(bytes);
    convert_values(data, stored, converted.data(), dtype, elements);
    backend.copy_from_host(converted.data(), buffer->data, bytes);
  }
  return make_data(dtype, shape, device, {std::move(buffer), 0});
}

}  // namespace detail

Array from_external(void* data, const Shape& shape, DType dtype, const Device& device,
                    std::function<void()> deleter) {
  const std::int64_t bytes = byte_size(shape, dtype);
  if (!device) {
    throw DeviceError("[from_external] given no device; take one from noyau::device(name)");
  }
  if (data == nullptr && bytes != 0) {
    throw ValueError(fmt::format(
        "[from_external] a null pointer for the shape {}: give the address of its {} bytes",
        to_string(shape), bytes));
  }
  return make_data(dtype, shape, device,
                   {memory::from_external(device.backend(), data, static_cast<std::size_t>(bytes),
                                          std::move(deleter)),
                    0});
}

}  // namespace noyau
