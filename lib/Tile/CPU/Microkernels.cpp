//===- Microkernels.cpp - row blocks times panels ---------------------------===//
#include "Microkernels.h"

#include "moe/Support/SmallFloats.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace mlir::moe;

bool moe::isVectorFloat(Value memref) {
  Type type = cast<MemRefType>(memref.getType()).getElementType();
  return type.isF32() || type.isF16() || type.isBF16();
}

bool moe::isRowContiguous(Value memref) {
  SmallVector<int64_t> strides;
  int64_t offset;
  auto type = cast<MemRefType>(memref.getType());
  return succeeded(type.getStridesAndOffset(strides, offset)) && (strides.empty() || strides.back() == 1);
}

V moe::strideOf(Code &c, Value memref, int64_t i) {
  SmallVector<int64_t> strides;
  int64_t offset;
  (void)cast<MemRefType>(memref.getType()).getStridesAndOffset(strides, offset);
  if (!ShapedType::isDynamic(strides[i]))
    return c.index(strides[i]);
  return c.wrap(memref::ExtractStridedMetadataOp::create(c.b, c.loc, memref).getStrides()[i]);
}

V moe::flatView(Code &c, Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  (void)type.getStridesAndOffset(strides, offset);
  OpFoldResult start = c.b.getIndexAttr(0);
  if (ShapedType::isDynamic(offset))
    start = memref::ExtractStridedMetadataOp::create(c.b, c.loc, memref).getOffset();
  else
    start = c.b.getIndexAttr(offset);
  auto layout = StridedLayoutAttr::get(c.b.getContext(), ShapedType::kDynamic, {1});
  auto flat = MemRefType::get({ShapedType::kDynamic}, type.getElementType(), layout);
  // The size is not used: nothing checks bounds.
  OpFoldResult size = c.index(int64_t(1) << 40).v, one = c.b.getIndexAttr(1);
  if (auto constant = dyn_cast<Attribute>(start))
    start = c.index(cast<IntegerAttr>(constant).getInt()).v;
  return c.wrap(memref::ReinterpretCastOp::create(c.b, c.loc, flat, memref, start, ArrayRef<OpFoldResult>{size},
                                                  ArrayRef<OpFoldResult>{one}));
}

/// Blocks of AVX-512 have any number of rows up to this one, and an even number beyond it.
static constexpr int64_t kEveryRow = 8;

V moe::blockRows(Code &c, const CpuTarget &target, V rows) {
  if (target.vectorBits != 512)
    return rows;
  V two = c.index(2), even = (rows + c.index(1)) / two * two;
  return c.select(rows <= c.index(kEveryRow), rows, even);
}

V moe::blockPitch(Code &c, V rows) {
  // Equal strides of the packed rows and the panel would share one index register and halve the speed of the
  // multiply-adds that read memory.
  return c.select((rows == c.index(8)) | (rows == c.index(16)), rows + c.index(1), rows);
}
static int64_t staticPitch(int64_t rows) { return rows == 8 || rows == 16 ? rows + 1 : rows; }

static MemRefType flatType(Type element) {
  auto layout = StridedLayoutAttr::get(element.getContext(), ShapedType::kDynamic, {1});
  return MemRefType::get({ShapedType::kDynamic}, element, layout);
}

static std::string typeName(Type type) {
  std::string name;
  llvm::raw_string_ostream(name) << type;
  return name;
}

/// Finds the function or starts it: `body` emits its code up to, not including, the return.
static func::FuncOp helper(Operation *at, StringRef name, ArrayRef<Type> types,
                           llvm::function_ref<void(Code &, ArrayRef<V>)> body) {
  Operation *table = SymbolTable::getNearestSymbolTable(at->getParentOfType<func::FuncOp>()->getParentOp());
  if (auto known = dyn_cast_or_null<func::FuncOp>(SymbolTable::lookupSymbolIn(table, name)))
    return known;
  OpBuilder b = OpBuilder::atBlockBegin(&table->getRegion(0).front());
  auto func = func::FuncOp::create(b, at->getLoc(), name, b.getFunctionType(types, {}));
  func.setPrivate();
  func->setAttr("moe.vectorized", b.getUnitAttr());
  b.setInsertionPointToStart(func.addEntryBlock());
  Code c(b, at->getLoc());
  Vs args;
  for (Value arg : func.getArguments())
    args.push_back(c.wrap(arg));
  body(c, args);
  func::ReturnOp::create(b, at->getLoc());
  return func;
}

/// a + n with no signed wrap, so that addresses fold.
static V at(Code &c, V a, int64_t n) {
  if (n == 0)
    return a;
  return c.wrap(arith::AddIOp::create(c.b, c.loc, a, c.index(n), arith::IntegerOverflowFlags::nsw));
}
static V at(Code &c, V a, V n) {
  return c.wrap(arith::AddIOp::create(c.b, c.loc, a, n, arith::IntegerOverflowFlags::nsw));
}
static V times(Code &c, V a, int64_t n) {
  return n == 1 ? a : c.wrap(arith::MulIOp::create(c.b, c.loc, a, c.index(n), arith::IntegerOverflowFlags::nsw));
}

//===----------------------------------------------------------------------===//
// Product
//===----------------------------------------------------------------------===//

std::string OperandFormat::name() const {
  std::string name = typeName(element) + (streamed ? "_streamed" : "");
  return scale ? llvm::formatv("{0}_{1}_{2}x{3}", name, typeName(scale), blockN, blockK).str() : name;
}

/// Codes in f32 but for the factor that `codeFactor` gives, which goes into their scale.
static Value widenCodes(Code &c, Value codes) {
  if (isa<Float8E4M3FNType>(getElementTypeOrSelf(codes.getType())))
    return decodeE4M3Over256(c.b, c.loc, codes);
  return decodeSmallFloat(c.b, c.loc, codes);
}
static double codeFactor(Type element) { return isa<Float8E4M3FNType>(element) ? 256 : 1; }

/// One block: `rows` rows times `panels` panels, unrolled.
static func::FuncOp blockFunction(Operation *op, const OperandFormat &format, int64_t rows, int64_t panels) {
  OpBuilder b(op);
  Type f32 = b.getF32Type(), index = b.getIndexType(), weight = format.element;
  std::string name = llvm::formatv("moe_block_{0}_{1}x{2}", format.name(), rows, panels).str();
  // Few rows wait for weights wherever these come from; for many a prefetch pays only where they come from memory.
  bool prefetch = format.streamed || rows <= 8;
  SmallVector<Type> types = {flatType(f32), index, flatType(weight), index, index, flatType(f32), index,
                             index,         index, b.getI1Type()};
  if (format.scale)
    types.append({flatType(format.scale), index, index, index});
  return helper(op, name, types, [&](Code &c, ArrayRef<V> args) {
    V A = args[0], a0 = args[1], W = args[2], w0 = args[3], panelStride = args[4], C = args[5], c0 = args[6],
      blockStride = args[7], depth = args[8], first = args[9];
    OpBuilder &b = c.b;
    auto line = VectorType::get({kPanel}, f32), raw = VectorType::get({kPanel}, weight);
    int64_t pitch = staticPitch(rows), unroll = rows >= 8 ? 2 : 4,
            lineBytes = kPanel * weight.getIntOrFloatBitWidth() / 8;
    SmallVector<V> wBase, cBase;
    for (int64_t p = 0; p < panels; ++p) {
      wBase.push_back(p == 0 ? w0 : at(c, wBase.back(), panelStride));
      cBase.push_back(p == 0 ? c0 : at(c, cBase.back(), blockStride));
    }
    auto cAt = [&](int64_t r, int64_t p) { return at(c, cBase[p], r * kPanel); };
    // acc[r * panels + p]
    Vs sums = c.ifElse(
        first, [&]() -> Vs { return Vs(rows * panels, c.constant(line, 0.0)); },
        [&]() -> Vs {
          Vs loaded;
          for (int64_t r = 0; r < rows; ++r)
            for (int64_t p = 0; p < panels; ++p)
              loaded.push_back(c.wrap(vector::LoadOp::create(b, c.loc, line, C, ValueRange{cAt(r, p)})));
          return loaded;
        });
    SmallVector<V> factors; // of each panel, in the current block of k
    auto step = [&](V k, ArrayRef<V> acc, int64_t steps) -> Vs {
      Vs next(acc.begin(), acc.end());
      V aRow = at(c, a0, times(c, k, pitch)), wRow = times(c, k, kPanel);
      SmallVector<V> wAt;
      for (int64_t p = 0; p < panels; ++p)
        wAt.push_back(at(c, wBase[p], wRow));
      for (int64_t u = 0; u < steps; ++u) {
        SmallVector<Value> lines;
        for (int64_t p = 0; p < panels; ++p) {
          if (prefetch && u * lineBytes % 64 == 0)
            memref::PrefetchOp::create(b, c.loc, W, ValueRange{at(c, wAt[p], u * kPanel + 1024)}, /*isWrite=*/false,
                                       /*localityHint=*/3, /*isDataCache=*/true);
          Value v = vector::LoadOp::create(b, c.loc, raw, W, ValueRange{at(c, wAt[p], u * kPanel)});
          if (format.scale)
            v = arith::MulFOp::create(b, c.loc, widenCodes(c, v), factors[p]);
          else if (!weight.isF32())
            v = arith::ExtFOp::create(b, c.loc, line, v);
          lines.push_back(v);
        }
        for (int64_t r = 0; r < rows; ++r) {
          Value x = vector::BroadcastOp::create(b, c.loc, line, c.load(A, {at(c, aRow, u * pitch + r)}));
          for (int64_t p = 0; p < panels; ++p)
            next[r * panels + p] = c.wrap(vector::FMAOp::create(b, c.loc, x, lines[p], next[r * panels + p]));
        }
      }
      return next;
    };
    // Whole steps, then what is left of k one at a time.
    auto loop = [&](V lo, V hi, int64_t steps, ArrayRef<V> init) -> Vs {
      SmallVector<Value> values(init.begin(), init.end());
      auto loop = scf::ForOp::create(b, c.loc, lo, hi, c.index(steps), values);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(loop.getBody());
      Vs carried, results;
      for (Value v : loop.getRegionIterArgs())
        carried.push_back(c.wrap(v));
      Vs next = step(c.wrap(loop.getInductionVar()), carried, steps);
      scf::YieldOp::create(b, c.loc, SmallVector<Value>(next.begin(), next.end()));
      for (Value v : loop.getResults())
        results.push_back(c.wrap(v));
      return results;
    };
    auto range = [&](V lo, V hi, ArrayRef<V> init) -> Vs {
      V whole = lo + (hi - lo) / c.index(unroll) * c.index(unroll);
      return loop(whole, hi, 1, loop(lo, whole, unroll, init));
    };
    if (!format.scale) {
      sums = range(c.index(0), depth, sums);
    } else {
      // A block of k at a time: its scales are loaded once.
      V S = args[10], s0 = args[11], scaleStride = args[12], panel = args[13];
      SmallVector<V> scaleRow;
      for (int64_t p = 0; p < panels; ++p)
        scaleRow.push_back(format.blockN ? s0 + (panel + c.index(p)) / c.index(format.blockN / kPanel) * scaleStride
                                         : s0);
      V blocks = format.blockK ? c.ceilDiv(depth, c.index(format.blockK)) : c.index(1);
      sums = c.loop(c.index(0), blocks, sums, [&](V block, ArrayRef<V> acc) -> Vs {
        factors.clear();
        for (int64_t p = 0; p < panels; ++p) {
          V scale = c.loadWide(S, {scaleRow[p] + block}) * c.f32(codeFactor(weight));
          factors.push_back(c.wrap(vector::BroadcastOp::create(b, c.loc, line, scale)));
        }
        if (!format.blockK)
          return range(c.index(0), depth, acc);
        V lo = block * c.index(format.blockK);
        return range(lo, c.min(depth, lo + c.index(format.blockK)), acc);
      });
    }
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t p = 0; p < panels; ++p)
        vector::StoreOp::create(b, c.loc, sums[r * panels + p], C, ValueRange{cAt(r, p)});
  });
}

/// Panels that are computed at once by a block of few rows: enough chains of multiply-adds to hide their latency.
static int64_t panelsAtOnce(const CpuTarget &target, int64_t rows) {
  if (target.vectorBits == 512)
    return rows <= 2 ? 4 : rows <= 4 ? 2 : 1;
  return rows == 1 ? 4 : rows == 2 ? 2 : 1;
}

func::FuncOp moe::productFunction(Operation *op, const CpuTarget &target, OperandFormat weight) {
  OpBuilder b(op);
  Type f32 = b.getF32Type(), index = b.getIndexType();
  SmallVector<int64_t> sizes;
  for (int64_t r = 1; r <= maxRows(target); r += (target.vectorBits == 512 && r >= kEveryRow) ? 2 : 1)
    sizes.push_back(r);
  // Made before this function, so that nothing is inserted while its body is open.
  DenseMap<std::pair<int64_t, int64_t>, func::FuncOp> blocks;
  for (int64_t r : sizes)
    for (int64_t p : {int64_t(1), panelsAtOnce(target, r)})
      blocks[{r, p}] = blockFunction(op, weight, r, p);
  SmallVector<Type> types = {index, flatType(f32), index, flatType(weight.element),
                             index, index,         index, flatType(f32),
                             index, index,         index, b.getI1Type()};
  if (weight.scale)
    types.append({flatType(weight.scale), index, index, index});
  return helper(op, "moe_product_" + weight.name(), types, [&](Code &c, ArrayRef<V> args) {
    V rows = args[0], A = args[1], a = args[2], W = args[3], w = args[4], panels = args[5], panelStride = args[6],
      C = args[7], c0 = args[8], blockStride = args[9], depth = args[10], first = args[11];
    OpBuilder &b = c.b;
    auto sweep = [&](int64_t r, int64_t at, V lo, V hi) {
      auto loop = scf::ForOp::create(b, c.loc, lo, hi, c.index(at));
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      V p = c.wrap(loop.getInductionVar());
      SmallVector<Value> operands = {
          A, a, W, w + p * panelStride, panelStride, C, c0 + p * blockStride, blockStride, depth, first};
      if (weight.scale)
        operands.append({args[12], args[13], args[14], args[15] + p});
      func::CallOp::create(b, c.loc, blocks[{r, at}], operands);
    };
    auto choose = scf::IndexSwitchOp::create(b, c.loc, TypeRange{}, rows, sizes, sizes.size());
    for (auto [i, r] : llvm::enumerate(sizes)) {
      OpBuilder::InsertionGuard guard(b);
      b.createBlock(&choose.getCaseRegions()[i]);
      int64_t many = panelsAtOnce(target, r);
      V whole = panels / c.index(many) * c.index(many);
      sweep(r, many, c.index(0), whole);
      if (many > 1)
        sweep(r, 1, whole, panels);
      scf::YieldOp::create(b, c.loc);
    }
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&choose.getDefaultRegion());
    scf::YieldOp::create(b, c.loc);
  });
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

/// Four rows of 16 elements each as 16 groups of four: in-lane unpacks twice. u[j] holds k = 4 * lane + j.
static SmallVector<Value> interleaveFour(Code &c, ArrayRef<Value> rows) {
  auto shuffle = [&](Value x, Value y, ArrayRef<int64_t> lane) -> Value {
    SmallVector<int64_t> mask;
    for (int64_t l = 0; l < 4; ++l)
      for (int64_t e : lane)
        mask.push_back(e < 4 ? 4 * l + e : 16 + 4 * l + e - 4);
    return vector::ShuffleOp::create(c.b, c.loc, x, y, mask);
  };
  Value t0 = shuffle(rows[0], rows[1], {0, 4, 1, 5}), t1 = shuffle(rows[0], rows[1], {2, 6, 3, 7});
  Value t2 = shuffle(rows[2], rows[3], {0, 4, 1, 5}), t3 = shuffle(rows[2], rows[3], {2, 6, 3, 7});
  return {shuffle(t0, t2, {0, 1, 4, 5}), shuffle(t0, t2, {2, 3, 6, 7}), shuffle(t1, t3, {0, 1, 4, 5}),
          shuffle(t1, t3, {2, 3, 6, 7})};
}

func::FuncOp moe::packFunction(Operation *op, OperandFormat format) {
  OpBuilder b(op);
  Type f32 = b.getF32Type(), index = b.getIndexType(), element = format.element;
  SmallVector<Type> types = {flatType(element), flatType(index), index, index, index,
                             flatType(f32),     index,           index, index, index};
  if (format.scale)
    types.append({flatType(format.scale), flatType(index)});
  return helper(op, "moe_pack_" + format.name(), types, [&](Code &c, ArrayRef<V> args) {
    V X = args[0], offsets = args[1], firstRow = args[2], rows = args[3], block = args[4], A = args[5], a = args[6],
      pitch = args[7], k0 = args[8], depth = args[9];
    OpBuilder &b = c.b;
    auto wide = VectorType::get({kPanel}, f32);
    V zero = c.index(0), last = rows - c.index(1), whole = depth / c.index(kPanel) * c.index(kPanel);
    struct Row {
      V at, scale; // where its elements and its scales start
    };
    auto rowAt = [&](V r) {
      V number = firstRow + c.min(r, last);
      Row row{c.load(offsets, {number}) + k0, V()};
      if (format.scale)
        row.scale = c.load(args[11], {number});
      return row;
    };
    auto scaleAt = [&](Row row, V k) {
      V block = format.blockK ? (k0 + k) / c.index(format.blockK) : zero;
      return c.loadWide(args[10], {row.scale + block});
    };
    auto lineAt = [&](Row row, V k) -> Value {
      Value v = vector::LoadOp::create(b, c.loc, VectorType::get({kPanel}, element), X, ValueRange{row.at + k});
      if (format.scale) {
        Value scale = vector::BroadcastOp::create(b, c.loc, wide, scaleAt(row, k));
        return arith::MulFOp::create(b, c.loc, decodeSmallFloat(b, c.loc, v), scale);
      }
      return element.isF32() ? v : Value(arith::ExtFOp::create(b, c.loc, wide, v));
    };
    auto elementAt = [&](Row row, V k) {
      V v = c.loadWide(X, {row.at + k});
      return format.scale ? v * scaleAt(row, k) : v;
    };
    auto sweep = [&](V hi, llvm::function_ref<void(V)> body) {
      auto loop = scf::ForOp::create(b, c.loc, zero, hi, c.index(kPanel));
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      body(c.wrap(loop.getInductionVar()));
    };
    auto scalars = [&](V lo, V r, ArrayRef<Row> from) {
      c.loop(lo, depth, [&](V k) {
        for (auto [i, row] : llvm::enumerate(from))
          c.store(elementAt(row, k), A, {a + k * pitch + r + c.index(i)});
      });
    };
    // Rows four at a time, then two, then one.
    V fours = block / c.index(4);
    c.loop(zero, fours, [&](V four) {
      V r = four * c.index(4);
      SmallVector<Row> from;
      for (int64_t i = 0; i < 4; ++i)
        from.push_back(rowAt(r + c.index(i)));
      sweep(whole, [&](V k) {
        SmallVector<Value> lines;
        for (Row row : from)
          lines.push_back(lineAt(row, k));
        SmallVector<Value> groups = interleaveFour(c, lines);
        V to = a + k * pitch + r;
        for (int64_t lane = 0; lane < 4; ++lane)
          for (int64_t j = 0; j < 4; ++j) {
            Value group = vector::ExtractStridedSliceOp::create(b, c.loc, groups[j], ArrayRef<int64_t>{4 * lane},
                                                                ArrayRef<int64_t>{4}, ArrayRef<int64_t>{1});
            vector::StoreOp::create(b, c.loc, group, A, ValueRange{to + c.index(4 * lane + j) * pitch});
          }
      });
      scalars(whole, r, from);
    });
    V done = fours * c.index(4);
    c.ifThen(c.index(2) <= block - done, [&] {
      SmallVector<Row> from = {rowAt(done), rowAt(done + c.index(1))};
      sweep(whole, [&](V k) {
        Value x = lineAt(from[0], k), y = lineAt(from[1], k);
        V to = a + k * pitch + done;
        for (int64_t i = 0; i < kPanel; ++i) {
          Value pair = vector::ShuffleOp::create(b, c.loc, x, y, ArrayRef<int64_t>{i, kPanel + i});
          vector::StoreOp::create(b, c.loc, pair, A, ValueRange{to + c.index(i) * pitch});
        }
      });
      scalars(whole, done, from);
    });
    V odd = block % c.index(2);
    c.ifThen(c.wrap(odd == c.index(1)), [&] {
      V r = block - c.index(1);
      SmallVector<Row> from = {rowAt(r)};
      V contiguous = pitch == c.index(1);
      V copied = c.select(contiguous, whole, zero);
      sweep(copied, [&](V k) { vector::StoreOp::create(b, c.loc, lineAt(from[0], k), A, ValueRange{a + k}); });
      scalars(copied, r, from);
    });
  });
}
