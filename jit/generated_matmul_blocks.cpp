// The generated matrix product for blocks of many threads: where its tiles come from and go to.
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "jit/generated_matmul.hpp"
#include "jit/legalise.hpp"

namespace noyau::jit {

namespace {

class BlockProduct {
 public:
  BlockProduct(const TensorView& a, const TensorView& b, const TensorView& out, bool swapped,
               ProductTile tile)
      : rank_(static_cast<std::size_t>(out.shape.rank())),
        m_(rank_ - 2),
        n_(rank_ - 1),
        rows_(out.shape[static_cast<int>(m_)]),
        columns_(out.shape[static_cast<int>(n_)]),
        g_("matmul", ProductTiles::threads),
        tiles_(g_, out.dtype, tile, rows_, columns_, out.shape.elements() / (rows_ * columns_)) {
    a_ = g_.input(swapped ? b : a, "a");
    b_ = g_.input(swapped ? a : b, "b");
    if (swapped) std::swap(a_, b_);
    to_ = g_.output(out, "out");
    inner_ = g_.number(a.shape[static_cast<int>(n_)], "inner");
    last_ = g_.number(a.shape[static_cast<int>(n_)] - 1, "last_inner");
    row_count_ = g_.number(rows_, "rows");
    column_count_ = g_.number(columns_, "columns");
    place(out);
  }

  GeneratedKernel run() {
    const Side a = side(a_, m_, n_, first_row_, row_count_, true),
               b = side(b_, n_, m_, first_column_, column_count_, false);
    store(tiles_.sums(constant(0), inner_, a.parts, b.parts, [&](Value start) {
      return ProductTiles::Fetched{load(a_, n_, a, start), load(b_, m_, b, start), {}};
    }));
    return g_.take();
  }

 private:
  Value constant(std::int64_t v) { return g_.ir().constant_i64(v); }

  /// Which tile the block has.
  void place(const TensorView& out) {
    const Value across = g_.number(tiles_.across, "across"), down = g_.number(tiles_.down, "down");
    const Value block = g_.ir().block(0);
    g_.ir().program().instructions[static_cast<std::size_t>(block)].flags = lone_axis;
    const Value rest = g_.ir().binary(Opcode::divide, block, across);
    first_column_ = g_.times(g_.subtract(block, g_.multiply(rest, across)), tiles_.columns());
    batch_.assign(rank_, constant(0));
    Value batch = g_.ir().binary(Opcode::divide, rest, down);
    first_row_ = g_.times(g_.subtract(rest, g_.multiply(batch, down)), tiles_.rows());
    for (std::size_t k = m_; k-- > 0;) {
      if (k == 0) {
        batch_[k] = batch;
        break;
      }
      const Value extent = g_.number(out.shape[static_cast<int>(k)], "batch");
      const Value outer = g_.ir().binary(Opcode::divide, batch, extent);
      batch_[k] = g_.subtract(batch, g_.multiply(outer, extent));
      batch = outer;
    }
  }

  /// What a thread loads of one operand for each step, and where that is but for the inner index.
  struct Side {
    std::vector<ProductTiles::Part> parts;
    std::vector<Value> offset;
  };
  /// Neighbouring threads go along the axis of stride 1. Past the last row is the last once more.
  Side side(const StridedBuffer& buffer, std::size_t outer_axis, std::size_t inner_axis,
            Value first, Value count, bool rows) {
    Side s;
    const bool along = buffer.unit[outer_axis] && !buffer.unit[inner_axis];
    s.parts = rows ? tiles_.row_parts(along) : tiles_.column_parts(along);
    const Value last = g_.plus(count, -1);
    for (const ProductTiles::Part& part : s.parts) {
      std::vector<Value> index = batch_;
      index[outer_axis] = g_.minimum(g_.add(first, part.at), last);
      index[inner_axis] = constant(0);
      s.offset.push_back(g_.offset(buffer, index));
    }
    return s;
  }
  std::vector<Value> load(const StridedBuffer& buffer, std::size_t inner_axis, const Side& s,
                          Value start) {
    std::vector<Value> loaded;
    for (std::size_t e = 0; e < s.parts.size(); ++e) {
      const Value k = g_.minimum(g_.add(start, s.parts[e].term), last_);
      loaded.push_back(
          g_.ir().load(buffer.memory, g_.add(s.offset[e], g_.term(buffer, inner_axis, k))));
    }
    return loaded;
  }

  void store(std::span<const Value> sums) {
    const auto inside = [&](Value a, Value end) { return g_.ir().compare(Opcode::less, a, end); };
    tiles_.for_each_column(
        sums, [&](Value column, std::span<const Value> rows, std::span<const Value> of_column) {
          std::vector<Value> index = batch_;
          index[n_] = g_.add(first_column_, column);
          const Value column_inside = inside(index[n_], column_count_);
          for (std::size_t r = 0; r < rows.size(); ++r) {
            index[m_] = g_.add(first_row_, rows[r]);
            g_.ir().begin_if(
                g_.ir().binary(Opcode::bit_and, column_inside, inside(index[m_], row_count_)));
            g_.store(to_, index, of_column[r]);
            g_.ir().begin_else();
            g_.ir().end_if();
          }
        });
  }

  std::size_t rank_, m_, n_;
  std::int64_t rows_, columns_;
  GeneratedBuilder g_;
  ProductTiles tiles_;
  StridedBuffer a_, b_, to_;
  Value inner_, last_, row_count_, column_count_, first_row_ = no_value, first_column_ = no_value;
  std::vector<Value> batch_;
};

}  // namespace

GeneratedKernel matmul_in_blocks(const TensorView& a, const TensorView& b, const TensorView& out,
                                 bool swapped, ProductTile tile) {
  return BlockProduct(a, b, out, swapped, tile).run();
}

}  // namespace noyau::jit
