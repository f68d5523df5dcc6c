//===- InferOp.h - inference of one op's results, by family ---------------===//
#ifndef MOE_LIB_IMPORT_INFEROP_H
#define MOE_LIB_IMPORT_INFEROP_H

#include "ShapeFactsImpl.h"
#include "dialects/onnx/Onnx.h"

namespace mlir::moe {

/// The op at hand with what is known of its inputs; each rule fills `results`, or diagnoses.
/// Inputs and outputs count as in the ONNX node (missing optional ones are null).
struct OpInference {
  using Dims = SmallVector<AffineExpr>;
  using Rule = LogicalResult (OpInference::*)();

  ShapeFacts &facts;
  ShapeFacts::Impl &impl;
  Operation *op;
  MutableArrayRef<TensorFacts> results;

  // Access.
  Value in(unsigned i) { return onnx::getInput(op, i); }
  /// Copies: the record of another value may move when more facts are inferred.
  Dims dims(Value v) {
    ArrayRef<AffineExpr> shape = facts.shape(v);
    return Dims(shape.begin(), shape.end());
  }
  Dims dims(unsigned i) { return dims(in(i)); }
  int64_t rank(unsigned i) { return facts.shape(in(i)).size(); }
  Type element(unsigned i) { return cast<ShapedType>(in(i).getType()).getElementType(); }
  std::optional<int64_t> known(AffineExpr e) { return e ? facts.constant(e) : std::nullopt; }
  AffineExpr number(int64_t n) { return impl.number(n); }
  Builder builder() { return Builder(op->getContext()); }
  template <typename T> T attribute(StringRef name) { return op->getAttrOfType<T>(name); }
  int64_t integer(StringRef name, int64_t otherwise) {
    auto attr = op->getAttrOfType<IntegerAttr>(name);
    return attr ? attr.getInt() : otherwise;
  }
  std::optional<SmallVector<int64_t>> integers(StringRef name) {
    auto attr = op->getAttrOfType<DenseI64ArrayAttr>(name);
    return attr ? std::optional(SmallVector<int64_t>(attr.asArrayRef())) : std::nullopt;
  }
  /// Values of a small integer input, all known; nullopt otherwise.
  std::optional<SmallVector<int64_t>> constants(unsigned i);
  /// Expressions of a small integer input (null: unknown element); nullopt if not tracked.
  std::optional<Dims> expressions(unsigned i);
  /// Number of elements of a rank-1 input that counts dimensions, e.g. of a shape operand; nullopt if no rank is that large.
  std::optional<int64_t> length(unsigned i) {
    constexpr int64_t kMaxRank = 1024;
    std::optional<int64_t> count = rank(i) == 1 ? known(facts.shape(in(i))[0]) : std::nullopt;
    return count && *count <= kMaxRank ? count : std::nullopt;
  }

  // Results.
  /// Sets output `position`, if the op has it.
  void set(unsigned position, Dims shape, Type element);
  void setValues(unsigned position, Dims values);
  InFlightDiagnostic expects() { return op->emitOpError() << "expects "; }
  /// `axis` made non-negative, or a diagnostic.
  FailureOr<int64_t> axisOf(int64_t axis, int64_t rank);
  FailureOr<SmallVector<int64_t>> axesOf(ArrayRef<int64_t> axes, int64_t rank);
  std::string shapeText(ArrayRef<AffineExpr> shape);
  FailureOr<Dims> broadcast(ArrayRef<Dims> shapes);
  LogicalResult expectShape(unsigned input, StringRef what, ArrayRef<AffineExpr> expected);
  /// An input that lists numbers, where it is there: one dim, a known length and, if given, that one. A constant may be a scalar.
  LogicalResult expectList(unsigned input, StringRef what, std::optional<int64_t> count = {});
  /// An input of one element, where it is there.
  LogicalResult expectOne(unsigned input, StringRef what);
  /// What an op's single numbers and its lists of starts, pads, sizes and the like must be whether or not their elements are known.
  LogicalResult expectLists();
  /// An input, where it is there, that broadcasts to `shape` and leaves it as it is.
  LogicalResult expectBroadcastTo(unsigned input, StringRef what, ArrayRef<AffineExpr> shape);

  // Rules. InferElementwise.cpp
  LogicalResult sameAsFirst();
  LogicalResult elementwise();
  LogicalResult comparison();
  LogicalResult where();
  LogicalResult cast_();
  LogicalResult predicate();
  LogicalResult quantize();
  LogicalResult dequantize();
  LogicalResult dynamicQuantize();
  LogicalResult dropout();
  LogicalResult biasGelu();
  // InferShape.cpp
  LogicalResult constant();
  LogicalResult shapeOp();
  LogicalResult size();
  LogicalResult reshape();
  LogicalResult flatten();
  LogicalResult squeeze();
  LogicalResult unsqueeze();
  LogicalResult transpose();
  LogicalResult concat();
  LogicalResult split();
  LogicalResult slice();
  LogicalResult expand();
  LogicalResult tile();
  LogicalResult pad();
  LogicalResult constantOfShape();
  LogicalResult range();
  LogicalResult depthSpace();
  LogicalResult resize();
  LogicalResult eyeLike();
  // InferIndex.cpp
  LogicalResult gather();
  LogicalResult gatherElements();
  LogicalResult gatherND();
  LogicalResult scatterElements();
  LogicalResult scatterND();
  LogicalResult tensorScatter();
  LogicalResult reverseSequence();
  LogicalResult topK();
  LogicalResult argReduce();
  LogicalResult nonZero();
  LogicalResult oneHot();
  LogicalResult compress();
  LogicalResult unique();
  // InferReduce.cpp
  LogicalResult reduce();
  LogicalResult normalization();
  LogicalResult batchNorm();
  LogicalResult channelNorm();
  LogicalResult loss();
  // InferProduct.cpp
  LogicalResult matmul();
  LogicalResult matmulNBits();
  LogicalResult gemm();
  LogicalResult einsum();
  LogicalResult conv();
  LogicalResult convTranspose();
  LogicalResult pool();
  LogicalResult globalPool();
  LogicalResult attention();
  LogicalResult fusedAttention();
  LogicalResult skipNorm();
  // InferMoeNodes.cpp
  LogicalResult moeNode();
  // InferMoe.cpp: ops of the moe dialect that stand among onnx ops while raising
  LogicalResult moeOp();
};

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_INFEROP_H
