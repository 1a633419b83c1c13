// The inner part of products in blocks: terms through shared memory, results in registers.
// SPDX-License-Identifier: Apache-2.0
#include "jit/generated_matmul.hpp"

namespace noyau::jit {
namespace {

std::int64_t blocks_along(std::int64_t count, std::int64_t of_block) {
  return (count + of_block - 1) / of_block;
}

}  // namespace

ProductTile tile_of_product(DType dtype, std::int64_t rows, std::int64_t columns,
                            std::int64_t batch) {
  // Two blocks for each multiprocessor of a large GPU.
  constexpr std::int64_t enough_blocks = 256;
  const auto enough = [&](ProductTile t) {
    return rows >= 16 * t.rows && columns >= 16 * t.columns &&
           blocks_along(rows, 16 * t.rows) * blocks_along(columns, 16 * t.columns) * batch >=
               enough_blocks;
  };
  // Of 8 bytes, 64 sums take all registers.
  if (size_of(dtype) < 8 && enough({8, 8})) return {8, 8};
  if (enough({8, 4})) return {8, 4};
  return enough({4, 8}) ? ProductTile{4, 8} : ProductTile{4, 4};
}

ProductTiles::ProductTiles(GeneratedBuilder& builder, DType dtype, ProductTile tile,
                           std::int64_t row_count, std::int64_t column_count, std::int64_t batch,
                           bool masked)
    : depth(tile.rows == 8 || tile.columns == 8 ? 8 : 16),
      down(blocks_along(row_count, 16 * tile.rows)),
      across(blocks_along(column_count, 16 * tile.columns)),
      g(builder),
      dtype_(dtype),
      tile_(tile) {
  KernelBuilder& ir = g.ir();
  ir.program().domain = Domain::blocks;
  ir.program().block_size[0] = threads;
  g.set_extent(0, across * down * batch);
  row_tile_ = ir.shared(dtype, 2 * depth * row_line(), "row_tile");
  column_tile_ = ir.shared(dtype, 2 * depth * column_line(), "column_tile");
  if (masked) found_ = ir.shared(DType::int32, 2 * depth * column_line(), "found");
  thread = ir.thread(0);
  const auto bits = [&](std::int64_t from, std::int64_t mask) {
    return ir.binary(Opcode::bit_and, g.divided(thread, from), ir.constant_i64(mask));
  };
  my_column_ = g.add(g.times(bits(1, 7), 4), g.times(bits(32, 1), 32));
  my_row_ = g.add(g.times(bits(8, 3), 4), g.times(g.divided(thread, 64), 16));
}

std::vector<ProductTiles::Part> ProductTiles::parts(std::int64_t width, bool along) {
  std::vector<Part> made;
  const std::int64_t run = along ? width : depth;
  const Value fast = g.ir().binary(Opcode::bit_and, thread, g.ir().constant_i64(run - 1)),
              slow = g.divided(thread, run);
  for (std::int64_t e = 0; e < depth * width / threads; ++e) {
    const Value further = g.plus(slow, e * (threads / run));
    made.push_back(along ? Part{fast, further} : Part{further, fast});
  }
  return made;
}

std::vector<Value> ProductTiles::run_of(int tile, DType type, Value at, std::int64_t count) {
  const auto vector = static_cast<std::uint8_t>(size_of(type) == 8 ? 2 : 4);
  std::vector<Value> places, values;
  for (std::int64_t k = 0; k < count; ++k) places.push_back(place(at, k));
  for (Value p : places) {
    values.push_back(g.ir().load(tile, p));
    g.ir().program().instructions.back().flags = vector;
  }
  return values;
}

std::vector<Value> ProductTiles::add_products(Value slot, Value k, std::span<const Value> sums) {
  const Value line = g.add(slot, k);
  const Value column = g.add(g.times(line, column_line()), my_column_);
  const auto columns = static_cast<std::size_t>(tile_.columns);
  const std::vector<Value> a = run_of(row_tile_, dtype_, g.add(g.times(line, row_line()), my_row_),
                                      tile_.rows),
                           b = run_of(column_tile_, dtype_, column, tile_.columns);
  std::vector<Value> found, after(sums.begin(), sums.end());
  if (found_ >= 0)
    for (Value v : run_of(found_, DType::int32, column, tile_.columns))
      found.push_back(g.ir().compare(Opcode::not_equal, v, g.zero(DType::int32)));
  for (std::size_t c = 0; c < columns; ++c) {
    std::vector<Value> before;
    for (std::size_t r = 0; r < a.size(); ++r) before.push_back(sums[r * columns + c]);
    const auto add = [&](std::span<const Value> now) {
      std::vector<Value> next;
      for (std::size_t r = 0; r < a.size(); ++r) next.push_back(g.multiply_add(a[r], b[c], now[r]));
      return next;
    };
    const std::vector<Value> next = found.empty() ? add(before) : g.when(found[c], before, add);
    for (std::size_t r = 0; r < a.size(); ++r) after[r * columns + c] = next[r];
  }
  return after;
}

void ProductTiles::put(Value slot, std::span<const Part> row_parts,
                       std::span<const Part> column_parts, const Fetched& fetched) {
  const auto all = [&](int tile, std::int64_t line, std::span<const Part> parts,
                       std::span<const Value> values) {
    for (std::size_t e = 0; e < values.size(); ++e)
      g.ir().store(tile, g.add(g.times(g.add(slot, parts[e].term), line), parts[e].at), values[e]);
  };
  all(row_tile_, row_line(), row_parts, fetched.rows);
  all(column_tile_, column_line(), column_parts, fetched.columns);
  std::vector<Value> found;  // a word each, which a gang tests without taking bytes apart
  for (Value v : fetched.found) found.push_back(g.ir().convert(v, DType::int32));
  if (found_ >= 0) all(found_, column_line(), column_parts, found);
}

std::vector<Value> ProductTiles::sums(Value first, Value end, std::span<const Part> row_parts,
                                      std::span<const Part> column_parts, const Fetch& fetch,
                                      const Prepare& prepare) {
  KernelBuilder& ir = g.ir();
  const auto constant = [&](std::int64_t v) { return ir.constant_i64(v); };
  const auto slot = [&](Value step) {
    return g.times(ir.binary(Opcode::bit_and, step, constant(1)), depth);
  };
  const auto flat = [](const Fetched& f) {
    std::vector<Value> list = f.rows;
    list.insert(list.end(), f.columns.begin(), f.columns.end());
    list.insert(list.end(), f.found.begin(), f.found.end());
    return list;
  };
  const std::size_t count = static_cast<std::size_t>(tile_.rows * tile_.columns);
  const auto apart = [&](std::span<const Value> carried) {
    Fetched f;
    for (std::size_t k = count; k < carried.size(); ++k)
      (f.rows.size() < row_parts.size()         ? f.rows
       : f.columns.size() < column_parts.size() ? f.columns
                                                : f.found)
          .push_back(carried[k]);
    return f;
  };
  const auto start = [&](Value step) { return g.add(first, g.times(step, depth)); };

  if (prepare) {
    prepare(first);
    ir.barrier();
  }
  std::vector<Value> carried(count, g.zero(dtype_));
  for (Value v : flat(fetch(first))) carried.push_back(v);
  const Value terms = g.subtract(end, first), whole_steps = g.divided(terms, depth);
  carried = g.loop(constant(0), whole_steps, carried, [&](Value step, std::span<const Value> now) {
    const Value here = slot(step), next = start(g.plus(step, 1));
    put(here, row_parts, column_parts, apart(now));
    if (prepare) prepare(next);
    ir.barrier();
    const std::vector<Value> coming = flat(fetch(next));
    std::vector<Value> after = g.loop(
        constant(0), constant(depth), now.first(count),
        [&](Value k, std::span<const Value> sums) { return add_products(here, k, sums); },
        unrolled_loop);
    after.insert(after.end(), coming.begin(), coming.end());
    return after;
  });
  const Value here = slot(whole_steps);
  put(here, row_parts, column_parts, apart(carried));
  ir.barrier();
  return g.loop(
      constant(0), g.subtract(terms, g.times(whole_steps, depth)),
      std::span<const Value>(carried).first(count),
      [&](Value k, std::span<const Value> sums) { return add_products(here, k, sums); },
      rolled_loop);
}

void ProductTiles::for_each_column(std::span<const Value> sums, const Store& store) {
  std::vector<Value> rows;
  for (std::int64_t r = 0; r < tile_.rows; ++r) rows.push_back(place(my_row_, r));
  const auto columns = static_cast<std::size_t>(tile_.columns);
  for (std::size_t c = 0; c < columns; ++c) {
    std::vector<Value> of_column;
    for (std::size_t r = 0; r < rows.size(); ++r) of_column.push_back(sums[r * columns + c]);
    store(place(my_column_, static_cast<std::int64_t>(c)), rows, of_column);
  }
}

}  // namespace noyau::jit
