//===- MoeScaledOps.cpp - verifiers of the ops on scaled values -----------===//
//
// The constraint numbers of MoeOps.td return as comments above the check that enforces them.
//
//===----------------------------------------------------------------------===//
#include "dialects/moe/Moe.h"

using namespace mlir;
using namespace mlir::moe;

/// Whether values of this type are high precision: what may be quantized, and what dequantizing gives.
static bool isHigh(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF32() || element.isBF16() || element.isF16();
}

static bool sameShape(ShapedType a, ShapedType b, bool transposed = false) {
  SmallVector<int64_t> shape(a.getShape());
  if (transposed && shape.size() >= 2)
    std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return ArrayRef<int64_t>(shape) == b.getShape();
}

LogicalResult QuantizeOp::verify() {
  // quantize_c1
  if (!isHigh(getInput().getType()))
    return emitOpError() << "expects its input to hold f16, bf16 or f32, but it is " << getInput().getType();
  // quantize_c2
  if (!sameShape(cast<ShapedType>(getInput().getType()), cast<ShapedType>(getResult().getType())))
    return emitOpError() << "expects a result of its input's shape, but input is " << getInput().getType()
                         << " and result " << getResult().getType();
  // quantize_c3
  if (getInput().getDefiningOp<DequantizeOp>())
    return emitOpError() << "expects its input not to come from 'moe.dequantize', which would quantize twice; "
                            "'moe.requantize' names the values a copy comes from";
  return success();
}

LogicalResult DequantizeOp::verify() {
  // dequantize_c1
  if (!isHigh(getResult().getType()))
    return emitOpError() << "expects a result of f16, bf16 or f32, but it is " << getResult().getType();
  // dequantize_c2
  if (!sameShape(cast<ShapedType>(getInput().getType()), cast<ShapedType>(getResult().getType())))
    return emitOpError() << "expects a result of its input's shape, but input is " << getInput().getType()
                         << " and result " << getResult().getType();
  return success();
}

LogicalResult RequantizeOp::verify() {
  auto from = cast<ScaledType>(getInput().getType()), to = cast<ScaledType>(getResult().getType());
  if (Value source = getSource()) {
    // requantize_c1
    auto quantize = getInput().getDefiningOp<QuantizeOp>();
    if (!isHigh(source.getType()) || !quantize || quantize.getInput() != source)
      return emitOpError() << "expects a source of f16, bf16 or f32 that its input was quantized from, but it is "
                           << source.getType();
  } else if (!isa<Float8E8M0FNUType>(from.getScale()) || !isa<Float8E8M0FNUType>(to.getScale()) ||
             from.getElementType() != to.getElementType()) {
    // requantize_c2
    return emitOpError() << "expects a source, or scales that are powers of two on both sides, but input is " << from
                         << " and result " << to;
  }
  // requantize_c3
  if (!sameShape(from, to, getTransposed()))
    return emitOpError() << "expects a result of its input's shape" << (getTransposed() ? ", transposed" : "")
                         << ", but input is " << from << " and result " << to;
  return success();
}
