//===- RowExpr.h - a region over rows as one expression per element --------===//
//
// The region of moe.experts computes tensors whose first dimension is the row. Here each such tensor is a function
// from an element's position (d0 = row, d1, ...) to a scalar expression: leaves read rows of x, params, constants or
// the accumulator of a product at affine positions; inner nodes are scalar functions. Slices, transposes and reshapes
// only substitute positions, so "gate = product[:, ::2]" is the accumulator at column 2 * d1.
//
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_FUSE_ROWEXPR_H
#define MOE_LIB_FUSE_ROWEXPR_H

#include "moe/Fuse/Passes.h"

#include <deque>

namespace mlir::moe {

/// Scalar code of moe.swiglu: min(gate, limit) * sigmoid(alpha * gate) * (clamp(up) + beta), computed in f32.
Value buildSwiglu(OpBuilder &b, Location loc, Value gate, Value up, float alpha, float beta, float limit);

struct RowExpr;

/// A contraction of rows with a param: acc[row, column] = sum_k rows(row, k) * weight(column, k).
struct RowProduct {
  const RowExpr *rows;   ///< over (d0 = row, d1 = k)
  const RowExpr *weight; ///< a Param leaf over (d0 = column, d1 = k)
  int64_t columns, k;
  unsigned number; ///< in order of data flow: a product comes after those its rows need
};

struct RowExpr {
  enum Kind { Row, Param, Shared, Acc, Constant, Fn } kind;
  Type type;                  ///< scalar
  SmallVector<AffineExpr> at; ///< Row, Acc: (row, column); Param: position without the expert; Shared: position
  unsigned param = 0;         ///< Param: index into params
  Value tensor;               ///< Row: rows already computed (null: x itself); Shared: a weight or constant
  const RowProduct *product = nullptr;
  TypedAttr value; ///< Constant
  std::function<Value(OpBuilder &, Location, ValueRange)> fn;
  const void *identity = nullptr; ///< Fn: equal for equal functions
  SmallVector<const RowExpr *> operands;
};

/// Owns the expressions of one region and evaluates its values.
class RowEvaluator {
public:
  RowEvaluator(Block &body) : body(body), context(body.getParent()->getContext()) {}

  /// The expression of a value over its own dims; null with `reason` set where there is none.
  const RowExpr *evaluate(Value value);
  /// The same expression at other positions: d_i becomes at[i].
  const RowExpr *substitute(const RowExpr *expr, ArrayRef<AffineExpr> at);
  const RowExpr *rowLeaf(Value tensor, Type element, AffineExpr row, AffineExpr column);
  const RowExpr *accLeaf(const RowProduct *product, AffineExpr row, AffineExpr column);
  const RowExpr *function(Type type, const void *identity, ArrayRef<const RowExpr *> operands,
                          std::function<Value(OpBuilder &, Location, ValueRange)> fn);
  static bool same(const RowExpr *a, const RowExpr *b);

  std::string reason;

private:
  const RowExpr *evaluateOp(Operation *op, unsigned result);
  const RowExpr *evaluateLinalg(linalg::LinalgOp op, unsigned result);
  const RowExpr *evaluateContraction(linalg::LinalgOp op);
  const RowExpr *evaluateScalar(Value scalar, Block *block, ArrayRef<const RowExpr *> arguments,
                                DenseMap<Value, const RowExpr *> &known);
  const RowExpr *fail(const Twine &why) {
    if (reason.empty())
      reason = why.str();
    return nullptr;
  }
  RowExpr *make(RowExpr::Kind kind, Type type) {
    exprs.push_back({});
    exprs.back().kind = kind;
    exprs.back().type = type;
    return &exprs.back();
  }
  SmallVector<AffineExpr> dims(unsigned n) {
    SmallVector<AffineExpr> list;
    for (unsigned i = 0; i < n; ++i)
      list.push_back(getAffineDimExpr(i, context));
    return list;
  }

  Block &body;
  MLIRContext *context;
  std::deque<RowExpr> exprs;
  std::deque<RowProduct> products;
  DenseMap<Value, const RowExpr *> memo;
};

} // namespace mlir::moe

#endif // MOE_LIB_FUSE_ROWEXPR_H
