//===- OpSupport.h - what the verifiers and shape functions of moe ops share ---===//
//
// Private to this folder. C0 and the methods that every compute op has stand here; constraints with numbers stand at their op.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_OPSUPPORT_H
#define MOE_OPSUPPORT_H

#include "dialects/moe/Moe.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

namespace mlir::moe {

/// Sizes of an op's results (MoeComputeOpInterface::inferResultSizes).
using Sizes = SmallVectorImpl<SmallVector<OpFoldResult>>;

inline ShapedType shaped(Value v) { return cast<ShapedType>(v.getType()); }
inline bool isFloat(ShapedType t) { return isa<FloatType>(t.getElementType()); }
inline bool dimsAgree(int64_t a, int64_t b) { return ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || a == b; }
inline bool shapesAgree(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  return a.size() == b.size() &&
         llvm::all_of(llvm::zip(a, b), [](auto p) { return dimsAgree(std::get<0>(p), std::get<1>(p)); });
}
inline std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [i, d] : llvm::enumerate(shape))
    text += (i ? ", " : "") + (ShapedType::isDynamic(d) ? std::string("?") : std::to_string(d));
  return text + "]";
}

/// The size of one dim of a tensor or memref, as an attribute where static. A scaled value has the extents of what it was
/// quantized from; null where that is not in sight.
inline OpFoldResult dimOf(OpBuilder &b, Location loc, Value v, int64_t i) {
  ShapedType type = shaped(v);
  if (!type.isDynamicDim(i))
    return b.getIndexAttr(type.getDimSize(i));
  if (isa<ScaledType>(type)) {
    if (auto quantize = v.getDefiningOp<QuantizeOp>())
      return dimOf(b, loc, quantize.getInput(), i);
    auto requantize = v.getDefiningOp<RequantizeOp>();
    if (!requantize)
      return {};
    int64_t swapped = i == type.getRank() - 1 ? i - 1 : i == type.getRank() - 2 ? i + 1 : i;
    return dimOf(b, loc, requantize.getInput(), requantize.getTransposed() ? swapped : i);
  }
  if (isa<MemRefType>(type))
    return b.createOrFold<memref::DimOp>(loc, v, i);
  return b.createOrFold<tensor::DimOp>(loc, v, i);
}
inline SmallVector<OpFoldResult> dimsOf(OpBuilder &b, Location loc, Value v) {
  SmallVector<OpFoldResult> dims;
  for (int64_t i = 0; i < shaped(v).getRank(); ++i)
    dims.push_back(dimOf(b, loc, v, i));
  return dims;
}
inline OpFoldResult product(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> factors) {
  int64_t constant = 1;
  Value value;
  for (OpFoldResult f : factors) {
    if (auto c = getConstantIntValue(f)) {
      constant *= *c;
      continue;
    }
    Value v = cast<Value>(f);
    value = value ? b.createOrFold<arith::MulIOp>(loc, value, v) : v;
  }
  if (!value)
    return b.getIndexAttr(constant);
  if (constant == 1)
    return value;
  return b.createOrFold<arith::MulIOp>(loc, value, arith::ConstantIndexOp::create(b, loc, constant));
}

/// What an op expects of one of its results (or of the buffer in its place).
struct Expected {
  SmallVector<int64_t> shape;
  enum Kind { Float, I64, I32, Same } kind;
  Type same;
};

/// C0: a tensor op has results and no `outs`, a buffer op the reverse; and each matches what the op computes.
inline LogicalResult verifyResults(MoeComputeOpInterface op, ArrayRef<Expected> expected) {
  bool onBuffers = !op.getOutBuffers().empty();
  if (onBuffers == (op->getNumResults() != 0))
    return op->emitOpError() << "expects either results (on tensors) or outs (on buffers), but has "
                             << op->getNumResults() << " results and " << op.getOutBuffers().size() << " outs";
  for (Value in : op.getIns())
    if (isa<MemRefType>(in.getType()) != onBuffers)
      return op->emitOpError() << "expects all operands to be " << (onBuffers ? "memrefs" : "tensors")
                               << ", but one is " << in.getType();
  SmallVector<Value> produced(op->getResults());
  if (onBuffers)
    produced.assign(op.getOutBuffers().begin(), op.getOutBuffers().end());
  if (produced.size() != expected.size())
    return op->emitOpError() << "expects " << expected.size() << " results, but has " << produced.size();
  for (auto [i, value] : llvm::enumerate(produced)) {
    const Expected &e = expected[i];
    ShapedType type = shaped(value);
    if (!shapesAgree(type.getShape(), e.shape))
      return op->emitOpError() << "expects result " << i << " to have shape " << shapeText(e.shape) << ", but it is "
                               << type;
    Type element = type.getElementType();
    bool ok = e.kind == Expected::Float ? isa<FloatType>(element)
              : e.kind == Expected::I64 ? element.isInteger(64)
              : e.kind == Expected::I32 ? element.isInteger(32)
                                        : element == e.same;
    if (!ok)
      return op->emitOpError() << "expects result " << i << " to hold "
                               << (e.kind == Expected::Float ? "floats"
                                   : e.kind == Expected::I64 ? "i64"
                                   : e.kind == Expected::I32 ? "i32"
                                                             : "the element type of its input")
                               << ", but it is " << type;
  }
  return success();
}

inline Expected floats(SmallVector<int64_t> shape) { return {std::move(shape), Expected::Float, {}}; }
inline Expected like(Value v) {
  return {SmallVector<int64_t>(shaped(v).getShape()), Expected::Same, shaped(v).getElementType()};
}

inline LogicalResult expectRank(Operation *op, Value v, int64_t rank, StringRef name) {
  if (shaped(v).getRank() != rank)
    return op->emitOpError() << "expects " << name << " to have rank " << rank << ", but it is " << v.getType();
  return success();
}
inline LogicalResult expectShape(Operation *op, Value v, ArrayRef<int64_t> shape, StringRef name) {
  if (!shapesAgree(shaped(v).getShape(), shape))
    return op->emitOpError() << "expects " << name << " to have shape " << shapeText(shape) << ", but it is "
                             << v.getType();
  return success();
}

inline LogicalResult expectFloats(Operation *op, Value v, StringRef name) {
  if (!isFloat(shaped(v)))
    return op->emitOpError() << "expects " << name << " to hold floats, but it is " << v.getType();
  return success();
}
inline LogicalResult expectI32(Operation *op, Value v, StringRef name) {
  if (!shaped(v).getElementType().isInteger(32))
    return op->emitOpError() << "expects " << name << " to hold i32, but it is " << v.getType();
  return success();
}
inline LogicalResult expectNumbers(Operation *op, Value v, StringRef name) {
  if (!shaped(v).getElementType().isIntOrFloat())
    return op->emitOpError() << "expects " << name << " to hold integers or floats, but it is " << v.getType();
  return success();
}

/// The yield that ends a region's only block, null where the block ends otherwise.
inline YieldOp yieldOf(Region &region) {
  return region.front().empty() ? YieldOp() : dyn_cast<YieldOp>(region.front().back());
}

inline void computeEffects(MoeComputeOpInterface op,
                           SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  if (op.getOutBuffers().empty())
    return;
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    bool written = llvm::is_contained(op.getOutBuffers(), operand.get());
    if (written)
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}

#define MOE_COMPUTE_OP(OP)                                                                                             \
  ValueRange OP::getIns() { return getOperation()->getOperands().drop_back(getOuts().size()); }                        \
  OperandRange OP::getOutBuffers() { return getOuts(); }                                                               \
  void OP::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {                  \
    computeEffects(*this, effects);                                                                                    \
  }                                                                                                                    \
  Speculation::Speculatability OP::getSpeculatability() {                                                              \
    return getOuts().empty() ? Speculation::Speculatable : Speculation::NotSpeculatable;                               \
  }                                                                                                                    \
  LogicalResult OP::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {                               \
    SmallVector<SmallVector<OpFoldResult>> sizes;                                                                      \
    if (failed(inferResultSizes(b, sizes)))                                                                            \
      return failure();                                                                                                \
    dims.assign(sizes.begin(), sizes.end());                                                                           \
    return success();                                                                                                  \
  }

} // namespace mlir::moe

#endif // MOE_OPSUPPORT_H
