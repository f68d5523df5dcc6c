//===- LowerTile.cpp - the tile dialect as Hopper instructions ------------===//
//
//   %p = tile.mma %a, %b : (!tile.shared<64x128xf8E4M3FN, swizzle>, ...) -> !tile.pending<...>
//     ->   wgmma.fence; 4 x wgmma.mma_async.m64nNk32 on descriptors of the two tiles; wgmma.commit_group
//
// A fragment becomes the scalars that its thread holds (#tile.fragment), a tile a pointer to shared memory, and shared memory one
// external array of the module; its size is recorded as `tile.shared_bytes` of the kernel.
//
//===----------------------------------------------------------------------===//
#include "Ptx.h"

#include "dialects/tile/Tile.h"
#include "moe/Lower/Passes.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/DialectConversion.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERTILE
#include "moe/Lower/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;
using namespace mlir::moe::tile;

static constexpr StringLiteral kSharedName = "tile_shared";

/// The address of element 0 of a buffer in global memory.
static Value pointerTo(Ptx &p, Value memref) {
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(p.b, p.loc, memref);
  Value bits = arith::IndexCastOp::create(p.b, p.loc, p.i64(), address);
  return LLVM::IntToPtrOp::create(p.b, p.loc, p.global(), bits);
}
static int64_t bytesOf(Type type) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.getNumElements() * bytesOf(vector.getElementType());
  return type.getIntOrFloatBitWidth() / 8;
}
static int64_t elementBytes(Value memref) { return bytesOf(cast<MemRefType>(memref.getType()).getElementType()); }
/// An index, or a constant one, times bytes.
static Value scaled(Ptx &p, Value index, int64_t bytes) { return p.mul(index, bytes); }
static Value barrierAt(Ptx &p, Value barriers, Value index) { return p.address(p.at(barriers, scaled(p, index, 8))); }

namespace {
template <typename Op> struct Pattern : OpConversionPattern<Op> {
  using OpConversionPattern<Op>::OpConversionPattern;
  using Adaptor = typename OpConversionPattern<Op>::OneToNOpAdaptor;
};
#define TILE_PATTERN(OP)                                                                                               \
  struct Lower##OP : Pattern<tile::OP> {                                                                               \
    using Pattern::Pattern;                                                                                            \
    LogicalResult matchAndRewrite(tile::OP op, Adaptor in, ConversionPatternRewriter &b) const override {              \
      Ptx p{b, op.getLoc()};                                                                                           \
      return lower(op, in, b, p);                                                                                      \
    }                                                                                                                  \
    LogicalResult lower(tile::OP op, Adaptor in, ConversionPatternRewriter &b, Ptx &p) const;                          \
  };                                                                                                                   \
  LogicalResult Lower##OP::lower(tile::OP op, Adaptor in, ConversionPatternRewriter &b, Ptx &p) const

//===----------------------------------------------------------------------===//
// Frame
//===----------------------------------------------------------------------===//

Value sharedBase(Ptx &p, Operation *op) {
  Value base = LLVM::AddressOfOp::create(p.b, p.loc, p.shared(), kSharedName);
  return p.at(base, op->getAttrOfType<IntegerAttr>("tile.offset").getInt());
}
TILE_PATTERN(AllocOp) {
  b.replaceOp(op, sharedBase(p, op));
  return success();
}
TILE_PATTERN(BarriersOp) {
  b.replaceOp(op, sharedBase(p, op));
  return success();
}
TILE_PATTERN(StartOp) {
  auto kernel = op->getParentOfType<func::FuncOp>();
  Value first = p.equal(p.thread(), p.i32(0));
  auto once = scf::IfOp::create(b, op.getLoc(), first);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(once.thenBlock());
    // (offset, arrivals) of each barrier, as planned.
    auto plan = kernel->getAttrOfType<DenseI64ArrayAttr>("tile.barrier_plan").asArrayRef();
    Value base = plan.empty() ? Value() : LLVM::AddressOfOp::create(b, op.getLoc(), p.shared(), kSharedName);
    for (size_t i = 0; i < plan.size(); i += 2)
      p.assembly("mbarrier.init.shared::cta.b64 [$0], $1;", {p.address(p.at(base, plan[i])), p.i32(plan[i + 1])});
    p.assembly("fence.mbarrier_init.release.cluster;", {});
  }
  p.syncBlock(0, kernel->getAttrOfType<IntegerAttr>("tile.threads").getInt());
  if (op.getDependent()) {
    p.assembly("griddepcontrol.wait;", {});
    p.assembly("griddepcontrol.launch_dependents;", {});
  }
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(IdOp) {
  // All threads of a warp take part in making a value uniform: at the kernel's start, wherever the op stands.
  if (op.getKind() == IdKind::Warp || op.getKind() == IdKind::Warpgroup)
    b.setInsertionPointToStart(&op->getParentOfType<func::FuncOp>().getBody().front());
  switch (op.getKind()) {
  case IdKind::Thread:
    b.replaceOp(op, p.thread());
    break;
  case IdKind::Lane:
    b.replaceOp(op, p.lane());
    break;
  case IdKind::Warp:
    b.replaceOp(op, p.warp());
    break;
  case IdKind::Warpgroup:
    b.replaceOp(op, p.uniform(p.shr(p.thread(), 7)));
    break;
  case IdKind::Block:
    b.replaceOpWithNewOp<NVVM::BlockIdXOp>(op, p.i32());
    break;
  case IdKind::Blocks:
    b.replaceOpWithNewOp<NVVM::GridDimXOp>(op, p.i32());
    break;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Synchronization
//===----------------------------------------------------------------------===//

TILE_PATTERN(WaitOp) {
  p.assembly("{ .reg .pred p; L: mbarrier.try_wait.parity.shared::cta.b64 p, [$0], $1; @p bra D; bra L; D: }",
             {barrierAt(p, in.getBarriers().front(), op.getIndex()), op.getParity()});
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(ArriveOp) {
  Value barrier = barrierAt(p, in.getBarriers().front(), op.getIndex());
  if (op.getWarp()) {
    p.syncWarp();
    p.assembly("{ .reg .pred p; setp.eq.u32 p, $1, 0; @p mbarrier.arrive.shared::cta.b64 _, [$0]; }",
               {barrier, p.lane()});
  } else {
    p.assembly("mbarrier.arrive.shared::cta.b64 _, [$0];", {barrier});
  }
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(ExpectOp) {
  p.assembly("mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;",
             {barrierAt(p, in.getBarriers().front(), op.getIndex()), op.getBytes()});
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(SyncOp) {
  p.syncThreads(op.getId(), op.getThreads());
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(SyncWarpOp) {
  p.syncWarp();
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(FenceAsyncOp) {
  p.fenceAsync();
  b.eraseOp(op);
  return success();
}
Value counterAt(Ptx &p, Value counter, Value index) { return p.at(pointerTo(p, counter), p.wide(scaled(p, index, 4))); }
TILE_PATTERN(SignalOp) {
  p.assembly("fence.acq_rel.gpu; red.release.gpu.global.add.u32 [$0], 1;",
             {counterAt(p, op.getCounter(), op.getIndex())});
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(AwaitOp) {
  p.assembly(
      "{ .reg .pred p; .reg .u32 v; L: ld.acquire.gpu.global.u32 v, [$0]; setp.ge.u32 p, v, $1; @p bra D; bra L; D: }",
      {counterAt(p, op.getCounter(), op.getIndex()), op.getAmount()});
  p.fenceAsync();
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(ShuffleOp) {
  if (op.getKind() == ShuffleKind::Up) // lanes below get their own: clamp 0
    b.replaceOpWithNewOp<NVVM::ShflOp>(op, op.getType(), p.i32(-1), op.getValue(), op.getLane(), p.i32(0),
                                       NVVM::ShflKind::up, UnitAttr());
  else
    b.replaceOp(op, p.shuffle(op.getValue(), op.getLane(),
                              op.getKind() == ShuffleKind::Xor ? NVVM::ShflKind::bfly : NVVM::ShflKind::idx));
  return success();
}
TILE_PATTERN(ReduceOp) {
  auto kind = op.getKind() == ReduceKind::Add   ? NVVM::ReduxKind::ADD
              : op.getKind() == ReduceKind::Min ? NVVM::ReduxKind::UMIN
                                                : NVVM::ReduxKind::UMAX;
  b.replaceOpWithNewOp<NVVM::ReduxOp>(op, op.getType(), op.getValue(), kind, p.i32(-1));
  return success();
}
TILE_PATTERN(PublishOp) {
  p.assembly("st.release.gpu.global.u32 [$0], $1;", {counterAt(p, op.getCounter(), op.getIndex()), op.getValue()});
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(AwaitChangeOp) {
  p.assembly(
      "{ .reg .pred p; .reg .u32 v; L: ld.acquire.gpu.global.u32 v, [$0]; setp.ne.u32 p, v, $1; @p bra D; bra L; D: }",
      {counterAt(p, op.getCounter(), op.getIndex()), op.getValue()});
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(AtomicAddOp) {
  b.replaceOp(op, p.assembly(op.getOrdered() ? "atom.add.acq_rel.gpu.global.u32 $0, [$1], $2;"
                                             : "atom.add.relaxed.gpu.global.u32 $0, [$1], $2;",
                             {counterAt(p, op.getCounter(), op.getIndex()), op.getAmount()}, p.i32()));
  return success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

TILE_PATTERN(ViewOp) {
  SharedType from = op.getSource().getType(), to = op.getType();
  int64_t row = from.getBytes() / from.getShape().front(), unit = op.getUnit();
  if (from.getShape().size() == to.getShape().size() + 1)
    unit = 1;
  b.replaceOp(op, p.at(in.getSource().front(), scaled(p, op.getIndex(), unit * row)));
  return success();
}
TILE_PATTERN(CopyBulkOp) {
  Value from = p.at(pointerTo(p, op.getSource()), op.getOffset());
  p.assembly(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];",
      {p.address(in.getTarget().front()), from, op.getBytes(), barrierAt(p, in.getBarriers().front(), op.getIndex())});
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(CopyBoxOp) {
  // The map is a parameter by value: `moe-lower-kernels` gives the cast its address. Instructions name the innermost coordinate first.
  Value map =
      UnrealizedConversionCastOp::create(b, op.getLoc(), LLVM::LLVMPointerType::get(op.getContext()), op.getSource())
          .getResult(0);
  SmallVector<Value> operands = {p.address(in.getTarget().front()), map,
                                 barrierAt(p, in.getBarriers().front(), op.getIndex())};
  std::string text = "cp.async.bulk.tensor." + std::to_string(op.getPosition().size()) +
                     "d.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1, {";
  for (auto [i, position] : llvm::enumerate(llvm::reverse(op.getPosition()))) {
    text += (i ? ", $" : "$") + std::to_string(operands.size());
    operands.push_back(position);
  }
  p.assembly(text + "}], [$2];", operands);
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(CopyGatherOp) {
  Value from = p.at(pointerTo(p, op.getSource()), op.getOffset());
  Value piece = p.bitXor(op.getPiece(), p.bitAnd(op.getRow(), 7));
  Value to = p.at(in.getTarget().front(), p.add(p.shl(op.getRow(), 7), p.shl(piece, 4)));
  p.assembly("cp.async.cg.shared.global [$0], [$1], 16;", {p.address(to), from});
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(ArriveCopiesOp) {
  p.assembly("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [$0];",
             {barrierAt(p, in.getBarriers().front(), op.getIndex())});
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(ReadOp) {
  Value from = p.at(in.getSource().front(), scaled(p, op.getIndex(), op.getSource().getType().getElementBytes()));
  b.replaceOpWithNewOp<LLVM::LoadOp>(op, op.getType(), from, static_cast<unsigned>(bytesOf(op.getType())));
  return success();
}
TILE_PATTERN(WriteOp) {
  Value to = p.at(in.getTarget().front(), scaled(p, op.getIndex(), op.getTarget().getType().getElementBytes()));
  b.replaceOpWithNewOp<LLVM::StoreOp>(op, op.getValue(), to, static_cast<unsigned>(bytesOf(op.getValue().getType())));
  return success();
}
TILE_PATTERN(LoadOp) {
  Value from = p.at(pointerTo(p, op.getSource()), scaled(p, op.getIndex(), elementBytes(op.getSource())));
  auto load = LLVM::LoadOp::create(b, op.getLoc(), op.getType(), from, static_cast<unsigned>(bytesOf(op.getType())));
  load.setInvariant(op.getConstant());
  b.replaceOp(op, load);
  return success();
}
TILE_PATTERN(StoreOp) {
  Value to = p.at(pointerTo(p, op.getTarget()), scaled(p, op.getIndex(), elementBytes(op.getTarget())));
  b.replaceOpWithNewOp<LLVM::StoreOp>(op, op.getValue(), to, static_cast<unsigned>(bytesOf(op.getValue().getType())));
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// What wgmma wants to know about a tile of 128-byte rows in the 128-byte swizzle: address, 1024 bytes from one group of 8 rows to the next
/// (the stride offset), swizzle mode 1. The rows of a transposed tile are values of K, 64 columns each; `leading` bytes lie between one 64 columns
/// and the next.
Value descriptor(Ptx &p, Value tile, int64_t leading = 16) {
  Value low = p.wide(p.shr(p.bitAnd(p.address(tile), 0x3ffff), 4));
  return p.bitOr(low, p.i64(((leading >> 4) << 16) | (int64_t(1024 >> 4) << 32) | (int64_t(1) << 62)));
}
NVVM::WGMMATypes wgmmaType(Type type) {
  return isa<Float8E4M3FNType>(type) ? NVVM::WGMMATypes::e4m3
         : isa<Float8E5M2Type>(type) ? NVVM::WGMMATypes::e5m2
         : isa<BFloat16Type>(type)   ? NVVM::WGMMATypes::bf16
                                     : NVVM::WGMMATypes::f16;
}
/// One product of an op as instructions: the descriptors of their operands in order. A step is 32 bytes of each row, or 16 rows of transposed tiles.
struct MmaSteps {
  int64_t columns, bytes; ///< of the result; of an element
  bool transposed;
  SmallVector<std::pair<Value, Value>> operands;
  MmaSteps(Ptx &p, tile::MmaOp op, size_t i, Value a, Value b) : transposed(op.getTransposed()) {
    auto left = cast<SharedType>(op.getA()[i].getType()), right = cast<SharedType>(op.getB()[i].getType());
    int64_t depth = left.getShape()[0], leading = transposed ? depth * 128 : 16, steps = transposed ? depth / 16 : 4;
    columns = right.getShape()[0] * (transposed ? 64 : 1), bytes = left.getElementBytes();
    Value da = descriptor(p, a, leading), db = descriptor(p, b, leading);
    for (int64_t k = 0; k < steps; ++k) // addresses count 16 bytes
      operands.push_back({p.add(da, k * (transposed ? 128 : 2)), p.add(db, k * (transposed ? 128 : 2))});
  }
};
/// Products that are added to sums: fence, instructions and commit as one piece of assembly. Between pieces registers of sums that are in flight may be
/// moved, and ptxas then waits for them.
SmallVector<Value> accumulate(Ptx &p, tile::MmaOp op, ArrayRef<ValueRange> a, ArrayRef<ValueRange> bs,
                              ArrayRef<ValueRange> sums) {
  SmallVector<Value> inputs, all;
  std::string text = "{ .reg .pred p; setp.ne.b32 p, 1, 0; wgmma.fence.sync.aligned;", constraints;
  size_t total = 0, first = 0;
  for (ValueRange sum : sums)
    total += sum.size();
  for (size_t i = 0; i < total; ++i)
    constraints += "=f,";
  for (size_t i = 0; i < sums.size(); ++i) {
    auto at = cast<SharedType>(op.getA()[i].getType()), bt = cast<SharedType>(op.getB()[i].getType());
    MmaSteps steps(p, op, i, a[i].front(), bs[i].front());
    std::string registers;
    for (size_t r = 0; r < sums[i].size(); ++r)
      registers += (r ? ", $" : "$") + std::to_string(first + r);
    first += sums[i].size();
    auto name = [](Type type) { return NVVM::stringifyWGMMATypes(wgmmaType(type)).str(); };
    for (auto [da, db] : steps.operands) {
      text += " wgmma.mma_async.sync.aligned.m64n" + std::to_string(steps.columns) + "k" +
              std::to_string(32 / steps.bytes) + ".f32." + name(at.getElementType()) + "." + name(bt.getElementType()) +
              " {" + registers + "}, $" + std::to_string(total + inputs.size()) + ", $" +
              std::to_string(total + inputs.size() + 1) + ", p, 1, 1" +
              (steps.transposed   ? ", 1, 1;"
               : steps.bytes == 2 ? ", 0, 0;"
                                  : ";");
      inputs.append({da, db});
      constraints += "l,l,";
    }
    llvm::append_range(all, sums[i]);
  }
  for (size_t i = 0; i < total; ++i)
    constraints += std::to_string(i) + (i + 1 < total ? "," : "");
  llvm::append_range(inputs, all);
  auto assembly = LLVM::InlineAsmOp::create(
      p.b, p.loc, TypeRange(p.structOf(total)), inputs, text + " wgmma.commit_group.sync.aligned; }", constraints, true,
      false, LLVM::tailcallkind::TailCallKind::None,
      LLVM::AsmDialectAttr::get(p.b.getContext(), LLVM::AsmDialect::AD_ATT), ArrayAttr());
  SmallVector<Value> values = p.unpack(assembly->getResult(0), total), results;
  size_t from = 0;
  for (ValueRange sum : sums) {
    results.push_back(p.pack(ArrayRef<Value>(values).slice(from, sum.size())));
    from += sum.size();
  }
  return results;
}
TILE_PATTERN(MmaOp) {
  if (!op.getAccumulators().empty()) {
    b.replaceOp(op, accumulate(p, op, in.getA(), in.getB(), in.getAccumulators()));
    return success();
  }
  NVVM::WgmmaFenceAlignedOp::create(b, op.getLoc());
  SmallVector<Value> results;
  MLIRContext *context = op.getContext();
  for (size_t i = 0; i < op.getPending().size(); ++i) {
    auto a = cast<SharedType>(op.getA()[i].getType()), bt = cast<SharedType>(op.getB()[i].getType());
    MmaSteps steps(p, op, i, in.getA()[i].front(), in.getB()[i].front());
    Value sum;
    if (!op.getReuse().empty())
      sum = p.pack(in.getReuse()[i]);
    else
      sum = LLVM::UndefOp::create(b, op.getLoc(), p.structOf(steps.columns / 2));
    auto shape =
        NVVM::MMAShapeAttr::get(context, 64, static_cast<int>(steps.columns), static_cast<int>(32 / steps.bytes));
    auto type = [&](NVVM::WGMMATypes t) { return NVVM::WGMMATypesAttr::get(context, t); };
    auto one = NVVM::WGMMAScaleInAttr::get(context, NVVM::WGMMAScaleIn::one);
    auto layout = [&](NVVM::MMALayout own, NVVM::MMALayout other) {
      return NVVM::MMALayoutAttr::get(context, steps.transposed ? other : own);
    };
    for (auto [k, operands] : llvm::enumerate(steps.operands))
      sum = NVVM::WgmmaMmaAsyncOp::create(
          b, op.getLoc(), sum.getType(), sum, operands.first, operands.second, shape,
          type(wgmmaType(a.getElementType())), type(wgmmaType(bt.getElementType())), type(NVVM::WGMMATypes::f32),
          NVVM::WGMMAScaleOutAttr::get(context, k == 0 ? NVVM::WGMMAScaleOut::zero : NVVM::WGMMAScaleOut::one), one,
          one, layout(NVVM::MMALayout::row, NVVM::MMALayout::col), layout(NVVM::MMALayout::col, NVVM::MMALayout::row),
          nullptr);
    results.push_back(sum);
  }
  NVVM::WgmmaGroupSyncAlignedOp::create(b, op.getLoc());
  b.replaceOp(op, results);
  return success();
}
TILE_PATTERN(MmaWaitOp) {
  SmallVector<Value> all;
  SmallVector<size_t> sizes;
  for (auto [fragment, pending] : llvm::zip(op.getFragments(), in.getPending())) {
    sizes.push_back(static_cast<size_t>(elementsPerThread(fragment.getType())));
    llvm::append_range(all, p.unpack(pending.front(), sizes.back()));
  }
  // The instruction takes no registers; tied to them, nothing reads them before it.
  SmallVector<Value> values = p.tied("wgmma.wait_group.sync.aligned " + std::to_string(op.getInFlight()) + ";", all);
  SmallVector<SmallVector<Value>> results;
  size_t at = 0;
  for (size_t n : sizes) {
    results.emplace_back(values.begin() + at, values.begin() + at + n);
    at += n;
  }
  b.replaceOpWithMultiple(op, std::move(results));
  return success();
}
/// Element (chunk j, row half d, column c) of an mma fragment of thread-local elements.
struct MmaIndex {
  size_t chunk, half, column;
  explicit MmaIndex(size_t i) : chunk(i / 4), half(i / 2 % 2), column(i % 2) {}
};
TILE_PATTERN(PromoteOp) {
  ValueRange partial = in.getPartial(), sum = in.getSum(), rows = in.getRows(), columns = in.getColumns();
  llvm::MapVector<std::pair<Value, Value>, Value> scales;
  SmallVector<Value> out;
  for (size_t i = 0; i < partial.size(); ++i) {
    MmaIndex at(i);
    Value &scale = scales[{rows[at.half], columns[2 * at.chunk + at.column]}];
    if (!scale)
      scale = arith::MulFOp::create(b, op.getLoc(), rows[at.half], columns[2 * at.chunk + at.column]);
    out.push_back(LLVM::FMAOp::create(b, op.getLoc(), partial[i], scale, sum[i]));
  }
  if (op.getPin())
    out = p.tied("// sums", out);
  b.replaceOpWithMultiple(op, SmallVector<SmallVector<Value>>{out});
  return success();
}

//===----------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------===//

TILE_PATTERN(SplatOp) {
  int64_t n = elementsPerThread(op.getType());
  Layout layout = layoutOf(op.getType());
  SmallVector<Value> values, out;
  for (ValueRange v : in.getValues())
    values.push_back(v.front());
  for (int64_t i = 0; i < n; ++i)
    out.push_back(values[(layout == Layout::Columns ? i / 2 : i) % static_cast<int64_t>(values.size())]);
  b.replaceOpWithMultiple(op, SmallVector<SmallVector<Value>>{out});
  return success();
}
TILE_PATTERN(ReadVectorOp) {
  int64_t bytes = op.getSource().getType().getElementBytes();
  Type element = getElementTypeOrSelf(op.getType());
  Value lane = p.lane();
  SmallVector<Value> out;
  Value base = p.at(in.getSource().front(), scaled(p, op.getIndex(), bytes));
  if (layoutOf(op.getType()) == Layout::Rows) {
    base = p.at(base, p.mul(p.add(p.shl(p.warpInGroup(), 4), p.shr(lane, 2)), bytes));
    for (int64_t d = 0; d < 2; ++d)
      out.push_back(
          LLVM::LoadOp::create(b, op.getLoc(), element, p.at(base, d * 8 * bytes), static_cast<unsigned>(bytes)));
  } else {
    base = p.at(base, p.mul(p.bitAnd(lane, 3), 2 * bytes));
    Type pair = VectorType::get({2}, element);
    for (int64_t j = 0; j < elementsPerThread(op.getType()) / 2; ++j) {
      Value two =
          LLVM::LoadOp::create(b, op.getLoc(), pair, p.at(base, 8 * j * bytes), static_cast<unsigned>(2 * bytes));
      for (int64_t c = 0; c < 2; ++c)
        out.push_back(LLVM::ExtractElementOp::create(b, op.getLoc(), two, p.i32(c)));
    }
  }
  b.replaceOpWithMultiple(op, SmallVector<SmallVector<Value>>{out});
  return success();
}
TILE_PATTERN(WriteVectorOp) {
  int64_t bytes = op.getTarget().getType().getElementBytes();
  Value lane = p.lane(), base = p.at(in.getTarget().front(), scaled(p, op.getIndex(), bytes));
  ValueRange values = in.getFragment();
  bool rows = layoutOf(op.getFragment().getType()) == Layout::Rows;
  // One of the threads that hold equal values writes.
  Value writes = rows ? p.equal(p.bitAnd(lane, 3), p.i32(0)) : p.less(lane, p.i32(4));
  auto choice = scf::IfOp::create(b, op.getLoc(), writes);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(choice.thenBlock());
    if (rows) {
      base = p.at(base, p.mul(p.add(p.shl(p.warpInGroup(), 4), p.shr(lane, 2)), bytes));
      for (int64_t d = 0; d < 2; ++d)
        LLVM::StoreOp::create(b, op.getLoc(), values[static_cast<size_t>(d)], p.at(base, d * 8 * bytes),
                              static_cast<unsigned>(bytes));
    } else {
      base = p.at(base, p.mul(lane, 2 * bytes));
      for (size_t i = 0; i < values.size(); i += 2) {
        Value pair = LLVM::PoisonOp::create(b, op.getLoc(), VectorType::get({2}, values[i].getType()));
        for (size_t k = 0; k < 2; ++k)
          pair = LLVM::InsertElementOp::create(b, op.getLoc(), pair, values[i + k], p.i32(static_cast<int64_t>(k)));
        LLVM::StoreOp::create(b, op.getLoc(), pair, p.at(base, static_cast<int64_t>(i) * 4 * bytes),
                              static_cast<unsigned>(2 * bytes));
      }
    }
  }
  b.eraseOp(op);
  return success();
}
TILE_PATTERN(SelectRowsOp) {
  SmallVector<Value> out;
  for (auto [i, v] : llvm::enumerate(in.getSource()))
    if (MmaIndex(i).half == op.getHalf())
      out.push_back(v);
  b.replaceOpWithMultiple(op, SmallVector<SmallVector<Value>>{out});
  return success();
}
TILE_PATTERN(SelectColumnsOp) {
  size_t perChunk = layoutOf(op.getType()) == Layout::Mma ? 4 : 2;
  SmallVector<Value> out;
  int64_t chunks = cast<RankedTensorType>(op.getType()).getShape()[1] / 8;
  for (int64_t j = 0; j < chunks; ++j)
    for (size_t i = 0; i < perChunk; ++i)
      out.push_back(in.getSource()[(op.getFirst() + j * op.getStep()) * perChunk + i]);
  b.replaceOpWithMultiple(op, SmallVector<SmallVector<Value>>{out});
  return success();
}

/// exp and division as the hardware approximates them, in f32 where the type is narrower; everything else as it is.
Value cloneScalar(Ptx &p, Operation &op, IRMapping &map) {
  auto type = dyn_cast<FloatType>(op.getResult(0).getType());
  if (!isa<math::ExpOp, arith::DivFOp>(op) || !type || type.getWidth() > 32)
    return p.b.clone(op, map)->getResult(0);
  auto operand = [&](unsigned i) -> Value {
    Value v = map.lookupOrDefault(op.getOperand(i));
    return type.isF32() ? v : Value(arith::ExtFOp::create(p.b, p.loc, p.f32(), v));
  };
  auto approximate = [&](StringRef text, Value v) { return p.assembly(text, v, p.f32(), /*memory=*/false); };
  Value result =
      isa<math::ExpOp>(op)
          ? approximate("ex2.approx.ftz.f32 $0, $1;",
                        arith::MulFOp::create(p.b, p.loc, operand(0), p.f32(1.4426950408889634)))
          : Value(arith::MulFOp::create(p.b, p.loc, operand(0), approximate("rcp.approx.ftz.f32 $0, $1;", operand(1))));
  return type.isF32() ? result : Value(arith::TruncFOp::create(p.b, p.loc, type, result));
}
TILE_PATTERN(MapOp) {
  auto result = cast<RankedTensorType>(op.getResult(0).getType());
  Layout layout = layoutOf(result);
  int64_t n = elementsPerThread(result);
  SmallVector<SmallVector<Value>> out(op.getNumResults());
  Block &block = op.getBody().front();
  for (int64_t i = 0; i < n; ++i) {
    IRMapping map;
    for (auto [k, operand] : llvm::enumerate(op.getOperands())) {
      Layout own = layoutOf(operand.getType());
      int64_t at = own == layout ? i : own == Layout::Rows ? i / 2 % 2 : layout == Layout::Mma ? i / 4 * 2 + i % 2 : i;
      map.map(block.getArgument(static_cast<unsigned>(k)), in.getOperands_()[k][static_cast<size_t>(at)]);
    }
    for (Operation &inner : block.without_terminator())
      map.map(inner.getResult(0), cloneScalar(p, inner, map));
    for (auto [k, v] : llvm::enumerate(block.getTerminator()->getOperands()))
      out[k].push_back(map.lookupOrDefault(v));
  }
  b.replaceOpWithMultiple(op, std::move(out));
  return success();
}
TILE_PATTERN(MaxOp) {
  auto type = cast<RankedTensorType>(op.getFragments().front().getType());
  bool rows = layoutOf(op.getType()) == Layout::Rows, mma = layoutOf(type) == Layout::Mma;
  SmallVector<Value> out(static_cast<size_t>(elementsPerThread(op.getType())), p.f32(op.getInit().convertToDouble()));
  auto join = [&](Value &m, Value v) { m = LLVM::MaxNumOp::create(b, op.getLoc(), m, v); };
  for (ValueRange fragment : in.getFragments())
    for (auto [i, v] : llvm::enumerate(fragment)) {
      MmaIndex at(i);
      Value size = math::AbsFOp::create(b, op.getLoc(), v);
      join(out[rows ? at.half : mma ? 2 * at.chunk + at.column : i], size);
    }
  for (Value &m : out)
    for (int step = rows ? 1 : 4; step < (rows ? 4 : 32); step *= 2)
      join(m, p.shuffle(m, p.i32(step), NVVM::ShflKind::bfly));
  b.replaceOpWithMultiple(op, SmallVector<SmallVector<Value>>{out});
  return success();
}
/// Two f32 as two 8-bit floats of an i16.
Value packFloat8(Ptx &p, Type format, Value lo, Value hi) {
  StringRef text = isa<Float8E4M3FNType>(format) ? "cvt.rn.satfinite.e4m3x2.f32 $0, $2, $1;"
                                                 : "cvt.rn.satfinite.e5m2x2.f32 $0, $2, $1;";
  return p.assembly(text, {lo, hi}, p.i16(), /*memory=*/false);
}
TILE_PATTERN(CodesOp) {
  auto half = [&](Value lo, Value hi) -> Value {
    return arith::ExtUIOp::create(b, op.getLoc(), p.i32(), packFloat8(p, op.getFormat(), lo, hi));
  };
  b.replaceOp(op, p.bitOr(half(op.getA(), op.getB()), p.shl(half(op.getC(), op.getD()), 16)));
  return success();
}
TILE_PATTERN(PackOp) {
  SmallVector<Value> out;
  for (auto [lo, hi] : llvm::zip(in.getLo(), in.getHi()))
    out.push_back(packFloat8(p, op.getFormat(), lo, hi));
  b.replaceOpWithMultiple(op, SmallVector<SmallVector<Value>>{out});
  return success();
}
TILE_PATTERN(StoreMatrixOp) {
  bool mma = layoutOf(op.getFragment().getType()) == Layout::Mma;
  bool f32 = getElementTypeOrSelf(op.getFragment().getType()).isF32();
  ValueRange values = in.getFragment();
  // One register a matrix of 8 x 8: columns 2 q and 2 q + 1 of a row.
  SmallVector<Value> matrices;
  for (size_t i = 0; i < values.size(); i += 2) {
    Value lo = values[i], hi = values[i + 1];
    if (f32) {
      matrices.push_back(p.packBf16(lo, hi));
    } else {
      auto wide = [&](Value v) { return arith::ExtUIOp::create(b, op.getLoc(), p.i32(), v); };
      matrices.push_back(p.bitOr(wide(lo), p.shl(wide(hi), 16)));
    }
  }
  // Lanes 8 i to 8 i + 7 give the rows of matrix i of an instruction: (row half d, chunk j), d first.
  Value lane = p.assembly("mov.b32 $0, $1;", p.lane(), p.i32(),
                          /*memory=*/false); // opaque: addresses stay out of loops before it
  Value r = p.bitAnd(lane, 7), m = p.shr(lane, 3);
  int64_t stride = op.getStride();
  Value base = p.at(in.getTarget().front(), scaled(p, op.getOffset(), op.getTarget().getType().getElementBytes()));
  size_t count = matrices.size();
  auto layout =
      NVVM::MMALayoutAttr::get(op.getContext(), op.getTransposed() ? NVVM::MMALayout::col : NVVM::MMALayout::row);
  auto shape = NVVM::LdStMatrixShapeAttr::get(op.getContext(), 8, 8);
  auto type = NVVM::LdStMatrixEltTypeAttr::get(op.getContext(), NVVM::LdStMatrixEltType::B16);
  // Offset of matrix (half, chunk) as seen from the lane's m: rows 8 half, columns 8 chunk.
  Value half = mma ? p.bitAnd(m, 1) : p.i32(0), chunk = mma ? p.shr(m, 1) : m;
  Value offset = op.getTransposed() ? p.add(p.mul(p.add(p.shl(chunk, 3), r), stride), p.shl(half, 4))
                                    : p.add(p.mul(p.add(p.shl(half, 3), r), stride), p.shl(chunk, 4));
  base = p.at(base, offset);
  int64_t perChunk = op.getTransposed() ? 8 * stride : 16;
  for (size_t i = 0; i < count;) {
    size_t n = count - i >= 4 ? 4 : count - i >= 2 ? 2 : 1;
    int64_t firstChunk = static_cast<int64_t>(mma ? i / 2 : i);
    NVVM::StMatrixOp::create(b, op.getLoc(), p.at(base, firstChunk * perChunk), ArrayRef<Value>(matrices).slice(i, n),
                             layout, shape, type);
    i += n;
  }
  b.eraseOp(op);
  return success();
}

TILE_PATTERN(StoreFragmentOp) {
  Type element = cast<MemRefType>(op.getTarget().getType()).getElementType();
  ValueRange values = in.getFragment();
  int64_t bytes = bytesOf(element), stride = static_cast<int64_t>(op.getStride()) * bytes;
  Value lane = p.lane(), row = p.add(p.shl(p.warpInGroup(), 4), p.shr(lane, 2));
  Value base = p.at(pointerTo(p, op.getTarget()), scaled(p, op.getOffset(), bytes));
  base = p.at(base, p.add(p.mul(p.wide(row), stride), p.wide(p.mul(p.bitAnd(lane, 3), 2 * bytes))));
  for (int64_t d = 0; d < 2; ++d) {
    Value own = p.add(row, 8 * d), first = p.at(base, p.i64(8 * d * stride));
    // A row outside has no columns.
    Value inside = arith::CmpIOp::create(b, op.getLoc(), arith::CmpIPredicate::slt, own, op.getRows());
    Value columns = arith::SelectOp::create(b, op.getLoc(), inside, op.getColumns(), p.i32(0));
    for (size_t i = static_cast<size_t>(2 * d); i < values.size(); i += 4) {
      int64_t column = static_cast<int64_t>(i / 4) * 8;
      std::string text = "{ .reg .pred p; setp.gt.s32 p, $1, " + std::to_string(column) + "; @p st.global." +
                         (element.isF32() ? "v2.f32" : "b32") + " [$0+" + std::to_string(column * bytes) + "], " +
                         (element.isF32() ? "{$2, $3}" : "$2") + "; }";
      Value lo = values[i], hi = values[i + 1];
      if (element.isF32())
        p.assembly(text, {first, columns, lo, hi});
      else
        p.assembly(text, {first, columns, element.isBF16() ? p.packBf16(lo, hi) : p.packF16(lo, hi)});
    }
  }
  b.eraseOp(op);
  return success();
}

/// arith and math on fragments: the same op on each scalar.
struct LowerElementwise : ConversionPattern {
  LowerElementwise(const TypeConverter &converter, MLIRContext *context)
      : ConversionPattern(converter, MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, ArrayRef<ValueRange> operands,
                                ConversionPatternRewriter &b) const override {
    if (op->getNumResults() != 1 || !isFragment(op->getResult(0).getType()))
      return failure();
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    size_t n = static_cast<size_t>(elementsPerThread(type));
    SmallVector<Value> out;
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      auto splat = dyn_cast<SplatElementsAttr>(constant.getValue());
      if (!splat)
        return failure();
      Value scalar = arith::ConstantOp::create(b, op->getLoc(), cast<TypedAttr>(splat.getSplatValue<Attribute>()));
      out.assign(n, scalar);
    } else {
      if (!op->hasTrait<OpTrait::Elementwise>() || op->getNumRegions())
        return failure();
      for (size_t i = 0; i < n; ++i) {
        OperationState state(op->getLoc(), op->getName());
        for (ValueRange v : operands)
          state.operands.push_back(v.size() == n ? v[i] : v.front());
        state.addTypes(type.getElementType());
        state.addAttributes(op->getAttrs());
        out.push_back(b.create(state)->getResult(0));
      }
    }
    b.replaceOpWithMultiple(op, SmallVector<SmallVector<Value>>{out});
    return success();
  }
};

struct LowerTile : moe::impl::LowerTileBase<LowerTile> {
  void runOnOperation() override {
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (kernel->hasAttr("tile.threads") && !kernel.isExternal() && failed(lower(kernel)))
        return signalPassFailure();
  }

  LogicalResult lower(func::FuncOp kernel) {
    for (Type type : llvm::concat<const Type>(kernel.getArgumentTypes(), kernel.getResultTypes()))
      if (isFragment(type) || isa<TileDialect>(type.getDialect()))
        return kernel.emitError("expects a kernel's arguments to be buffers and scalars, but found ") << type;
    if (failed(planShared(kernel)))
      return failure();
    SmallVector<RolesOp> roles;
    kernel.walk([&](RolesOp op) { roles.push_back(op); });
    for (RolesOp op : roles)
      branch(op);
    TypeConverter converter;
    converter.addConversion([](Type type) { return type; });
    Type shared = LLVM::LLVMPointerType::get(&getContext(), 3);
    converter.addConversion([=](SharedType) { return shared; });
    converter.addConversion([=](BarriersType) { return shared; });
    converter.addConversion([](PendingType type) -> Type {
      size_t n = static_cast<size_t>(elementsPerThread(type.getFragment()));
      return LLVM::LLVMStructType::getLiteral(type.getContext(),
                                              SmallVector<Type>(n, Float32Type::get(type.getContext())));
    });
    converter.addConversion([](RankedTensorType type, SmallVectorImpl<Type> &out) -> std::optional<LogicalResult> {
      if (!isFragment(type))
        return std::nullopt;
      out.append(static_cast<size_t>(elementsPerThread(type)), type.getElementType());
      return success();
    });
    ConversionTarget target(getContext());
    target.markUnknownOpDynamicallyLegal([&](Operation *op) {
      return !isa_and_nonnull<TileDialect>(op->getDialect()) && converter.isLegal(op->getOperandTypes()) &&
             converter.isLegal(op->getResultTypes());
    });
    target.addIllegalDialect<TileDialect>();
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerAllocOp, LowerBarriersOp, LowerStartOp, LowerIdOp, LowerWaitOp, LowerArriveOp, LowerExpectOp,
                 LowerSyncOp, LowerSyncWarpOp, LowerFenceAsyncOp, LowerSignalOp, LowerAwaitOp, LowerAwaitChangeOp,
                 LowerPublishOp, LowerShuffleOp, LowerReduceOp, LowerAtomicAddOp, LowerViewOp, LowerCopyBulkOp,
                 LowerCopyBoxOp, LowerCopyGatherOp, LowerArriveCopiesOp, LowerReadOp, LowerWriteOp, LowerLoadOp,
                 LowerStoreOp, LowerMmaOp, LowerMmaWaitOp, LowerPromoteOp, LowerSplatOp, LowerReadVectorOp,
                 LowerWriteVectorOp, LowerSelectRowsOp, LowerSelectColumnsOp, LowerMapOp, LowerMaxOp, LowerCodesOp,
                 LowerPackOp, LowerStoreMatrixOp, LowerStoreFragmentOp, LowerElementwise>(converter, &getContext());
    scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns, target);
    LogicalResult done = applyPartialConversion(kernel, target, std::move(patterns));
    kernel->removeAttr("tile.barrier_plan");
    return done;
  }

  /// Places tiles and barriers, largest alignment first.
  LogicalResult planShared(func::FuncOp kernel) {
    OpBuilder b(kernel);
    int64_t size = 0;
    SmallVector<int64_t> barriers;
    auto place = [&](Operation *op, int64_t bytes, int64_t alignment) {
      size = llvm::alignTo(size, alignment);
      op->setAttr("tile.offset", b.getI64IntegerAttr(size));
      size += bytes;
      return size - bytes;
    };
    for (bool swizzled : {true, false})
      for (AllocOp op : kernel.getBody().front().getOps<AllocOp>())
        if (op.getType().getSwizzle() == swizzled)
          place(op, op.getType().getBytes(), swizzled ? 1024 : 128);
    bool any = false;
    for (BarriersOp op : kernel.getBody().front().getOps<BarriersOp>()) {
      any = true;
      int64_t offset = place(op, 8 * op.getType().getCount(), 8);
      for (int64_t i = 0; i < op.getType().getCount(); ++i)
        barriers.append({offset + 8 * i, static_cast<int64_t>(op.getArrivals())});
    }
    if (any && kernel.getBody().front().getOps<StartOp>().empty())
      return kernel.emitError("expects a tile.start behind its barriers");
    if (size > kSharedBytes)
      return kernel.emitError("expects at most ")
             << kSharedBytes << " bytes of shared memory, but its tiles need " << size;
    kernel->setAttr("tile.shared_bytes", b.getI64IntegerAttr(size));
    kernel->setAttr("tile.barrier_plan", b.getDenseI64ArrayAttr(barriers));
    ModuleOp module = getOperation();
    Operation *own = module.lookupSymbol(kSharedName);
    if (own && !isa<LLVM::GlobalOp>(own))
      return own->emitError("expects no other symbol to be called '") << kSharedName << "'";
    if (size && !own) {
      b.setInsertionPointToStart(module.getBody());
      auto type = LLVM::LLVMArrayType::get(b.getI8Type(), 0);
      LLVM::GlobalOp::create(b, module.getLoc(), type, /*isConstant=*/false, LLVM::Linkage::External, kSharedName,
                             Attribute(),
                             /*alignment=*/1024, /*addrSpace=*/3);
    }
    return success();
  }

  /// Nested conditions on the warp: one branch for each run of warpgroups with the same roles.
  void branch(RolesOp op) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    Ptx p{b, loc};
    int64_t warps = op->getParentOfType<func::FuncOp>()->getAttrOfType<IntegerAttr>("tile.threads").getInt() / 32;
    ArrayRef<int32_t> first = op.getFirst(), registers = op.getRegisters();
    size_t n = first.size();
    auto end = [&](size_t i) { return i + 1 < n ? first[i + 1] : static_cast<int32_t>(warps); };
    Value warp = p.warp(), group = p.uniform(p.shr(p.thread(), 7)), lane = p.lane();
    auto body = [&](size_t i) {
      OpBuilder::InsertionGuard guard(b);
      if (op.getSingle()[i]) {
        auto only = scf::IfOp::create(b, loc, p.equal(lane, p.i32(0)));
        b.setInsertionPointToStart(only.thenBlock());
      }
      Block *block = &op.getBodies()[i].front();
      Operation *marker = p.i32(0).getDefiningOp();
      b.getInsertionBlock()->getOperations().splice(marker->getIterator(), block->getOperations());
      marker->erase();
    };
    auto budget = [&](int64_t g) {
      if (registers.empty())
        return;
      int64_t entry = 65536 / (warps * 32) / 8 * 8;
      NVVM::SetMaxRegisterOp::create(b, loc, b.getI32IntegerAttr(registers[g]),
                                     NVVM::SetMaxRegisterActionAttr::get(
                                         b.getContext(), registers[g] > entry ? NVVM::SetMaxRegisterAction::increase
                                                                              : NVVM::SetMaxRegisterAction::decrease));
    };
    for (size_t i = 0; i < n;) {
      // Roles of one warpgroup, or one role of several.
      size_t last = i;
      int64_t g = first[i] / 4;
      while (last + 1 < n && first[last + 1] / 4 == g)
        ++last;
      int64_t groupEnd = (end(last) + 3) / 4;
      bool more = last + 1 < n;
      scf::IfOp choice;
      if (more) {
        choice = scf::IfOp::create(b, loc, p.less(group, p.i32(groupEnd)), /*withElse=*/true);
        b.setInsertionPointToStart(choice.thenBlock());
      }
      budget(g);
      for (size_t r = i; r <= last; ++r) {
        OpBuilder::InsertionGuard guard(b);
        bool whole = first[r] == g * 4 && end(r) >= groupEnd * 4, one = op.getSingle()[r];
        if (!whole || one) {
          Value inside =
              one || end(r) == first[r] + 1
                  ? p.equal(warp, p.i32(first[r]))
                  : Value(arith::AndIOp::create(
                        b, loc, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge, warp, p.i32(first[r])),
                        p.less(warp, p.i32(end(r)))));
          auto own = scf::IfOp::create(b, loc, inside);
          b.setInsertionPointToStart(own.thenBlock());
        }
        body(r);
      }
      if (more)
        b.setInsertionPointToStart(choice.elseBlock());
      i = last + 1;
    }
    op.erase();
  }
};
} // namespace
