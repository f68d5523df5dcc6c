//===- ShapeFacts.h - what is provable about extents and small integers ---===//
//
// An extent or an integer element is an AffineExpr over symbols (no dims); products, floordiv and mod of symbols are
// allowed. Expressions are kept in one normal form, so equal ones are mostly the same pointer.
//
//   func @main(%ids: tensor<?x?xi64> {moe.dims = ["batch", "seq"]})          shape(%ids)  = [s0, s1]
//   %s = onnx.Shape(%ids)                                                     elements(%s) = [s0, s1]
//   %r = onnx.Reshape(%x, [-1, 64]) of %x: [s0, s1, 64]                       shape(%r)    = [s0 * s1, 64]
//
//===----------------------------------------------------------------------===//
#ifndef MOE_IMPORT_SHAPEFACTS_H
#define MOE_IMPORT_SHAPEFACTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/PatternMatch.h"

#include <memory>

namespace mlir::moe {

/// Facts are computed on demand and kept per value, so ops created later are covered too. An address can be reused after
/// an op is erased: give the facts to the rewriter as its listener (`rewriter.setListener(&facts)` or
/// `GreedyRewriteConfig().setListener(&facts)`), or make new facts. Not thread-safe; one object per function.
class ShapeFacts : public RewriterBase::Listener {
public:
  /// The most that is taken of one value: what no machine holds is refused while it is small, so that no arithmetic on
  /// extents or bytes behind the importer overflows. The runtime has the same limits.
  static constexpr int64_t kMaxElements = int64_t(1) << 40;
  static constexpr size_t kMaxRank = 16;

public:
  explicit ShapeFacts(func::FuncOp func);
  ~ShapeFacts() override;

  /// Infers the results of an op from its operands. An op that cannot be is one diagnostic at its location, and failure.
  /// The importer calls it on each op it creates; elsewhere facts are inferred on demand.
  LogicalResult infer(Operation *op);
  /// The type of a tensor with every extent static that is provably constant. Call after `infer` on the op that makes it.
  RankedTensorType type(Value value);

  /// One expression per dimension of a ranked tensor value; empty for rank 0 and for values that are no ranked tensor.
  /// The array stays valid until the value's op is erased.
  ArrayRef<AffineExpr> shape(Value value);

  /// The elements of an integer or bool tensor of rank 0 or 1 with few elements (at most 64), as far as they are known:
  /// a null AffineExpr is an unknown element. Null if nothing is known. Elements can be negative.
  const SmallVector<AffineExpr> *elements(Value value);

  /// All elements of an integer or bool tensor, where every one is a known number (large constants included).
  std::optional<SmallVector<int64_t>> constants(Value value);

  /// The only element of an integer tensor with one element; null if unknown.
  AffineExpr scalar(Value value);

  /// True if both are provably the same number. False says nothing. Null expressions are equal to nothing.
  bool equal(AffineExpr a, AffineExpr b);
  /// True if the shapes have equal ranks and provably equal extents.
  bool equalShapes(Value a, Value b);
  /// True if provably >= 0. Extents are; integers read from tensors need not be.
  bool isNonNegative(AffineExpr expr);
  /// The number, if the expression is one.
  std::optional<int64_t> constant(AffineExpr expr);
  /// The product of a value's extents.
  AffineExpr numElements(Value value);

  /// Expressions in normal form. Exact arithmetic: divisions round down.
  AffineExpr add(AffineExpr a, AffineExpr b);
  AffineExpr sub(AffineExpr a, AffineExpr b);
  AffineExpr mul(AffineExpr a, AffineExpr b);
  AffineExpr floorDiv(AffineExpr a, AffineExpr b);
  AffineExpr max(AffineExpr a, AffineExpr b);
  AffineExpr min(AffineExpr a, AffineExpr b);

  /// An index value. The extents it is made of are read by tensor.dim where they were introduced (a function argument, or
  /// the op whose result nothing older determines), which must dominate the insertion point. Creates upstream ops only.
  Value materialize(OpBuilder &builder, Location loc, AffineExpr expr);

  /// Readable, with the names of `moe.dims`: "batch * seq". For diagnostics and names of result extents.
  std::string str(AffineExpr expr);

  /// Forget an op's results (and what its regions hold), because it is erased or changed.
  void forget(Operation *op);
  void notifyOperationErased(Operation *op) override { forget(op); }
  /// Symbols that `op` introduced live on in its replacement.
  void notifyOperationReplaced(Operation *op, ValueRange replacement) override;

  class Impl;

private:
  std::unique_ptr<Impl> impl;
};

} // namespace mlir::moe

#endif // MOE_IMPORT_SHAPEFACTS_H
