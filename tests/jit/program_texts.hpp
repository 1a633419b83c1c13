// Programs written by hand as text, with regions, functions, shared memory, barriers and atomics.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace noyau::jit::testing {

/// One item a row of n: maximum, sum of exp(x - maximum), division; exp is a func.
inline constexpr const char* softmax_text = R"(program "softmax"
items
parameter n: int64
buffer x: float32 read
buffer y: float32 read written
%exp = func exp
  %x: float32 = func_param
  %low: float32 = constant -87
  %clamped = maximum %x, %low
  %log2e: float32 = constant 0x1.715476p+0
  %scaled = multiply %clamped, %log2e
  %k = rint %scaled
  %minus_k = negate %k
  %ln2_high: float32 = constant 0x1.62ep-1
  %ln2_low: float32 = constant 0x1.0bfbe8p-15
  %r1 = fma %minus_k, %ln2_high, %clamped
  %r = fma %minus_k, %ln2_low, %r1
  %c5: float32 = constant 0.00833333
  %c4: float32 = constant 0.04166667
  %c3: float32 = constant 0.16666667
  %c2: float32 = constant 0.5
  %unit: float32 = constant 1
  %p4 = fma %c5, %r, %c4
  %p3 = fma %p4, %r, %c3
  %p2 = fma %p3, %r, %c2
  %p1 = fma %p2, %r, %unit
  %p0 = fma %p1, %r, %unit
  %ki: int32 = convert %k
  %bias: int32 = constant 127
  %biased = add %ki, %bias
  %mantissa: int32 = constant 23
  %bits = shift_left %biased, %mantissa
  %power: float32 = bitcast %bits
  %e = multiply %p0, %power
  return %e
%row = item 0
%n = parameter n
%start = multiply %row, %n
%end = add %start, %n
%one: int64 = constant 1
%lowest: float32 = constant -inf
%nothing: float32 = constant 0
loop %start, %lowest
  %i = loop_param
  %m = loop_param
  %more = less %i, %end
while %more
  %v = load x[%i]
  %m2 = maximum %m, %v
  %i2 = add %i, %one
  yield %i2, %m2
loop %start, %nothing
  %j = loop_param
  %sum = loop_param
  %more_j = less %j, %end
while %more_j
  %w = load x[%j]
  %d = subtract %w, %m
  %called = call %exp, %d
  %ew = result %called, 0
  store y[%j], %ew
  %sum2 = add %sum, %ew
  %j2 = add %j, %one
  yield %j2, %sum2
loop %start
  %l = loop_param
  %more_l = less %l, %end
while %more_l
  %u = load y[%l]
  %q = divide %u, %sum
  store y[%l], %q
  %l2 = add %l, %one
  yield %l2
)";

/// c = a b, one thread an element, tiles of 8 x 8 in shared memory, a barrier in the loop.
inline constexpr const char* matmul_text = R"(program "tiled matmul"
blocks 8, 8
parameter rows: int64
parameter columns: int64
parameter inner: int64
buffer a: float32 read
buffer b: float32 read
buffer c: float32 written
shared left: float32[64]
shared right: float32[64]
%tx = thread 0
%ty = thread 1
%bx = block 0
%by = block 1
%rows = parameter rows
%columns = parameter columns
%inner = parameter inner
%tile: int64 = constant 8
%zero: int64 = constant 0
%one: int64 = constant 1
%nothing: float32 = constant 0
%x0 = multiply %bx, %tile
%column = add %x0, %tx
%y0 = multiply %by, %tile
%row = add %y0, %ty
%row_inside = less %row, %rows
%column_inside = less %column, %columns
%t0 = multiply %ty, %tile
%slot = add %t0, %tx
loop %zero, %nothing
  %k0 = loop_param
  %sum = loop_param
  %more = less %k0, %inner
while %more
  %ka = add %k0, %tx
  %ka_inside = less %ka, %inner
  %a_inside = bit_and %row_inside, %ka_inside
  %if_a = if %a_inside
    %ra = multiply %row, %inner
    %ia = add %ra, %ka
    %va = load a[%ia]
    yield %va
  else
    yield %nothing
  %la = result %if_a, 0
  store left[%slot], %la
  %kb = add %k0, %ty
  %kb_inside = less %kb, %inner
  %b_inside = bit_and %column_inside, %kb_inside
  %if_b = if %b_inside
    %rb = multiply %kb, %columns
    %ib = add %rb, %column
    %vb = load b[%ib]
    yield %vb
  else
    yield %nothing
  %lb = result %if_b, 0
  store right[%slot], %lb
  barrier
  loop %zero, %sum
    %k = loop_param
    %partial = loop_param
    %in_tile = less %k, %tile
  while %in_tile
    %sl = add %t0, %k
    %l = load left[%sl]
    %kr = multiply %k, %tile
    %sr = add %kr, %tx
    %r = load right[%sr]
    %partial2 = fma %l, %r, %partial
    %k2 = add %k, %one
    yield %k2, %partial2
  barrier
  %k02 = add %k0, %tile
  yield %k02, %partial
%inside = bit_and %row_inside, %column_inside
if %inside
  %rc = multiply %row, %columns
  %ic = add %rc, %column
  store c[%ic], %sum
  yield
)";

/// Counts bytes in 16 bins: atomics in shared memory, then one atomic a bin and block.
inline constexpr const char* histogram_text = R"(program "histogram"
blocks 64
parameter n: int64
parameter blocks: int64
buffer x: uint8 read
buffer counts: int32 read written
shared local: int32[16]
%t = thread 0
%b = block 0
%n = parameter n
%blocks = parameter blocks
%bins: int64 = constant 16
%threads: int64 = constant 64
%none: int32 = constant 0
%unit: int32 = constant 1
%four: uint8 = constant 4
%mine = less %t, %bins
if %mine
  store local[%t], %none
  yield
barrier
%b0 = multiply %b, %threads
%first = add %b0, %t
%stride = multiply %blocks, %threads
loop %first
  %i = loop_param
  %more = less %i, %n
while %more
  %v = load x[%i]
  %high = shift_right %v, %four
  %bin: int64 = convert %high
  %old = atomic add relaxed local[%bin], %unit
  %i2 = add %i, %stride
  yield %i2
barrier
if %mine
  %count = load local[%t]
  %before = atomic add relaxed counts[%t], %count
  yield
)";

/// Sums each block of 64 by a tree; the barriers stand under a condition that is the same for a
/// block.
inline constexpr const char* tree_text = R"(program "tree reduction"
blocks 64
parameter n: int64
buffer x: float32 read
buffer sums: float32 written
shared part: float32[64]
%t = thread 0
%b = block 0
%n = parameter n
%zero: int64 = constant 0
%one: int64 = constant 1
%half: int64 = constant 32
%threads: int64 = constant 64
%nothing: float32 = constant 0
%first = multiply %b, %threads
%i = add %first, %t
%any = less %first, %n
%tree = if %any
  %inside = less %i, %n
  %loaded = if %inside
    %v = load x[%i]
    yield %v
  else
    yield %nothing
  %mine = result %loaded, 0
  store part[%t], %mine
  barrier
  loop %half
    %s = loop_param
    %more = greater %s, %zero
  while %more
    %low = less %t, %s
    if %low
      %p = load part[%t]
      %other = add %t, %s
      %q = load part[%other]
      %pq = add %p, %q
      store part[%t], %pq
      yield
    barrier
    %s2 = shift_right %s, %one
    yield %s2
  %total = load part[%zero]
  yield %total
else
  yield %nothing
%sum = result %tree, 0
%leader = equal %t, %zero
if %leader
  store sums[%b], %sum
  yield
)";

/// How many steps until |z| > 2, at most `limit`: a loop with an exit that depends on data.
inline constexpr const char* mandelbrot_text = R"(program "mandelbrot"
items
parameter width: int64
parameter limit: int32
parameter left: float32
parameter top: float32
parameter step: float32
buffer steps: int32 written
%px = item 0
%py = item 1
%width = parameter width
%limit = parameter limit
%left = parameter left
%top = parameter top
%step = parameter step
%fx: float32 = convert %px
%fy: float32 = convert %py
%dx = multiply %fx, %step
%dy = multiply %fy, %step
%cx = add %left, %dx
%cy = add %top, %dy
%nothing: float32 = constant 0
%none: int32 = constant 0
%unit: int32 = constant 1
%four: float32 = constant 4
loop %nothing, %nothing, %none
  %x = loop_param
  %y = loop_param
  %k = loop_param
  %xx = multiply %x, %x
  %yy = multiply %y, %y
  %square = add %xx, %yy
  %small = less_equal %square, %four
  %again = less %k, %limit
  %go = bit_and %small, %again
while %go
  %difference = subtract %xx, %yy
  %x2 = add %difference, %cx
  %xy = multiply %x, %y
  %twice = add %xy, %xy
  %y2 = add %twice, %cy
  %k2 = add %k, %unit
  yield %x2, %y2, %k2
%line = multiply %py, %width
%at = add %line, %px
store steps[%at], %k
)";

/// 5 x 5 weights over an image whose border is reflected without repeating the edge.
inline constexpr const char* stencil_text = R"(program "reflected stencil"
items
parameter width: int64
parameter height: int64
buffer x: float32 read
buffer weights: float32 read
buffer y: float32 written
%reflect = func reflect
  %i: int64 = func_param
  %n: int64 = func_param
  %positive = absolute %i
  %one: int64 = constant 1
  %last = subtract %n, %one
  %beyond = subtract %positive, %last
  %back = subtract %last, %beyond
  %inside = less_equal %positive, %last
  %r = select %inside, %positive, %back
  return %r
%px = item 0
%py = item 1
%width = parameter width
%height = parameter height
%unit: int64 = constant 1
%low: int64 = constant -2
%high: int64 = constant 2
%five: int64 = constant 5
%nothing: float32 = constant 0
loop %low, %nothing
  %dy = loop_param
  %sum_y = loop_param
  %more_y = less_equal %dy, %high
while %more_y
  %sy = add %py, %dy
  %called_y = call %reflect, %sy, %height
  %ry = result %called_y, 0
  %line = multiply %ry, %width
  %wy = add %dy, %high
  %w_line = multiply %wy, %five
  loop %low, %sum_y
    %dx = loop_param
    %sum = loop_param
    %more_x = less_equal %dx, %high
  while %more_x
    %sx = add %px, %dx
    %called_x = call %reflect, %sx, %width
    %rx = result %called_x, 0
    %at = add %line, %rx
    %v = load x[%at]
    %wx = add %dx, %high
    %w_at = add %w_line, %wx
    %w = load weights[%w_at]
    %sum2 = fma %v, %w, %sum
    %dx2 = add %dx, %unit
    yield %dx2, %sum2
  %dy2 = add %dy, %unit
  yield %dy2, %sum
%out_line = multiply %py, %width
%out = add %out_line, %px
store y[%out], %sum_y
)";

/// Sums a linked list from each head: the offset in the loop advances by what is loaded.
inline constexpr const char* pointer_walk_text = R"(program "pointer walk"
items
buffer heads: int32 read
buffer next: int32 read
buffer value: float32 read
buffer sums: float32 written
%i = item 0
%head = load heads[%i]
%start: int64 = convert %head
%zero: int64 = constant 0
%nothing: float32 = constant 0
loop %start, %nothing
  %p = loop_param
  %sum = loop_param
  %more = greater_equal %p, %zero
while %more
  %v = load value[%p]
  %sum2 = add %sum, %v
  %n = load next[%p]
  %p2: int64 = convert %n
  yield %p2, %sum2
store sums[%i], %sum
)";

/// Inclusive sums of int32 in one pass (decoupled look-back, Merrill and Garland 2016): each block
/// takes a ticket, publishes its own sum (flag 1), looks back over its predecessors, and publishes
/// its prefix (flag 2).
inline constexpr const char* scan_text = R"(program "look-back scan"
blocks 32
parameter n: int64
buffer x: int32 read
buffer y: int32 written
buffer ticket: int32 read written
buffer flags: int32 read written
buffer sums: int32 read written
buffer prefixes: int32 read written
shared tile: int32[32]
shared mine: int32[2]
%t = thread 0
%n = parameter n
%zero: int64 = constant 0
%one: int64 = constant 1
%threads: int64 = constant 32
%last: int64 = constant 31
%none: int32 = constant 0
%unit: int32 = constant 1
%two: int32 = constant 2
%leader = equal %t, %zero
if %leader
  %taken = atomic add relaxed ticket[%zero], %unit
  store mine[%zero], %taken
  yield
barrier
%number = load mine[%zero]
%b: int64 = convert %number
%b0 = multiply %b, %threads
%i = add %b0, %t
%inside = less %i, %n
%loaded = if %inside
  %v = load x[%i]
  yield %v
else
  yield %none
%first = result %loaded, 0
store tile[%t], %first
barrier
loop %one
  %s = loop_param
  %more = less %s, %threads
while %more
  %own = load tile[%t]
  %far = greater_equal %t, %s
  %partner = if %far
    %j = subtract %t, %s
    %w = load tile[%j]
    yield %w
  else
    yield %none
  %other = result %partner, 0
  barrier
  %both = add %own, %other
  store tile[%t], %both
  barrier
  %s2 = shift_left %s, %one
  yield %s2
if %leader
  %total = load tile[%last]
  %a1 = atomic exchange relaxed sums[%b], %total
  fence
  atomic store release flags[%b], %unit
  %before = subtract %b, %one
  loop %before, %none
    %k = loop_param
    %prefix = loop_param
    %any = greater_equal %k, %zero
  while %any
    loop %none
      %flag = loop_param
      %waiting = equal %flag, %none
    while %waiting
      %f = atomic load acquire flags[%k]
      yield %f
    fence
    %done = equal %flag, %two
    %seen = if %done
      %p = atomic load relaxed prefixes[%k]
      %minus: int64 = constant -1
      yield %p, %minus
    else
      %q = atomic load relaxed sums[%k]
      %k1 = subtract %k, %one
      yield %q, %k1
    %part = result %seen, 0
    %k2 = result %seen, 1
    %prefix2 = add %prefix, %part
    yield %k2, %prefix2
  %inclusive = add %prefix, %total
  %a2 = atomic exchange relaxed prefixes[%b], %inclusive
  fence
  atomic store release flags[%b], %two
  store mine[%one], %prefix
  yield
barrier
if %inside
  %offset = load mine[%one]
  %sum = load tile[%t]
  %y = add %offset, %sum
  store y[%i], %y
  yield
)";

/// float16 and bfloat16 wherever a Program may have them.
inline constexpr const char* halves_text = R"(program "halves"
blocks 32, 1, 1
parameter p: float16
buffer x: float16 read
buffer y: bfloat16 written
buffer z: uint16 written
shared t: float16[32]
private s: bfloat16[1]
%twice = func twice
  %h: float16 = func_param
  %f: float32 = convert %h
  %g = add %f, %f
  %r: float16 = convert %g
  return %r
%i = thread 0
%b = block 0
%threads: int64 = constant 32
%b0 = multiply %b, %threads
%k = add %b0, %i
%v = load x[%k]
%wide: float32 = convert %v
%nothing: float32 = constant 0
%negative = less %wide, %nothing
%chosen = if %negative
  %called = call %twice, %v
  %d = result %called, 0
  yield %d
else
  %third: float16 = constant 0.33325195
  yield %third
%q = result %chosen, 0
%either = select %negative, %q, %v
store t[%i], %either
barrier
%last: int64 = constant 31
%other = subtract %last, %i
%mirrored = load t[%other]
%one: int64 = constant 1
%swapped = shuffle exclusive_or %mirrored, %one
%step = parameter p
%wide_step: float32 = convert %step
%zero: int64 = constant 0
%three: int64 = constant 3
loop %zero, %swapped
  %n = loop_param
  %sum = loop_param
  %more = less %n, %three
while %more
  %wide_sum: float32 = convert %sum
  %wide_next = add %wide_sum, %wide_step
  %next: float16 = convert %wide_next
  %n2 = add %n, %one
  yield %n2, %next
%brain: bfloat16 = convert %sum
store s[%zero], %brain
%kept = load s[%zero]
store y[%k], %kept
%bits: uint16 = bitcast %sum
store z[%k], %bits
)";

}  // namespace noyau::jit::testing
