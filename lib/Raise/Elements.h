//===- Elements.h - what one element of a tensor is ------------------------===//
//
// Exporters compute masks and positions with tensor code: ranges, comparisons, gathers, expands. Here the question is
// turned round: what is the element at index (d0, d1, ...) of this value? The index is pulled back through the ops that
// only move elements, and arithmetic on positions stays symbolic:
//
//   %r = Range(0, seq, 1);  %q = Unsqueeze(%r, 1);  %m = LessOrEqual(%r, Add(%q, past))
//   at(%m, (d0, d1))  =  d0 + past - d1 >= 0
//
// What is not understood is an Element of the value where that happens, at an index: two equal ones are equal.
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_RAISE_ELEMENTS_H
#define MOE_LIB_RAISE_ELEMENTS_H

#include "IndexExprs.h"

#include "moe/Import/ShapeFacts.h"

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Value.h"

#include "llvm/ADT/DenseMap.h"

#include <memory>
#include <optional>

namespace mlir::moe {

using Index = SmallVector<AffineExpr, 6>;

/// One element: a number, a condition on the index, a choice, or an element of some value.
struct Elem {
  enum Kind {
    Element, ///< `source` at `index`
    Int,     ///< `expr`
    Float,   ///< `number`
    True,
    False, ///
    NonNegative,
    Zero,  ///< `expr` >= 0, `expr` == 0
    Equal, ///< `args[0]` == `args[1]`
    And,
    Or,
    Not,    ///< of `args`
    Select, ///< `args[0]` ? `args[1]` : `args[2]`
  };
  Kind kind = Element;
  AffineExpr expr;
  double number = 0;
  Value source;
  Index index;
  std::vector<Elem> args;

  bool isCondition() const { return kind >= True && kind <= Not; }
  /// Readable, for debugging.
  void print(raw_ostream &os) const;
};

/// Answers for one function and one index space: dim d_k runs over [0, extents[k]).
class ElementFacts {
public:
  ElementFacts(ShapeFacts &facts, MLIRContext *context, ArrayRef<AffineExpr> extents)
      : facts(facts), exprs(context, extents, [&facts](AffineExpr symbol) { return facts.isNonNegative(symbol); }),
        context(context) {}

  /// The element of `value` at `index` (as many expressions as `value` has dims).
  Elem at(Value value, ArrayRef<AffineExpr> index);
  /// Extents where the index space is not empty (or there would be no element to ask about): [0:1] of a dim is 1 then.
  ArrayRef<AffineExpr> shape(Value value);
  /// Goes from an element of `value` to the same element of the operand of the op that only moves it (Transpose, Reshape,
  /// Expand, Squeeze, Unsqueeze, Identity). False, and nothing changes, where another op stands.
  bool step(Value &value, Index &index);
  /// The index of an elementwise operand for an index of the (broadcast) result; nullopt where extents may differ.
  std::optional<Index> broadcast(Value operand, Value result, ArrayRef<AffineExpr> index);
  /// The number that every element of `value` is, if there is one.
  std::optional<double> scalar(Value value);

  /// A further dim of the index space.
  AffineExpr addDim(AffineExpr extent) { return exprs.addDim(extent); }
  AffineExpr dim(unsigned position) const { return getAffineDimExpr(position, context); }
  AffineExpr constant(int64_t value) const { return getAffineConstantExpr(value, context); }
  /// Sum, product, quotient and remainder, simplified by what is known of the dims' ranges.
  AffineExpr simplify(AffineExpr expr) { return exprs.simplify(expr); }
  /// Whether an expression is certainly >= 0.
  bool nonNegative(AffineExpr expr) { return exprs.nonNegative(expr); }
  bool equal(AffineExpr a, AffineExpr b) { return a && b && (a == b || simplify(a - b) == constant(0)); }
  bool equal(const Elem &a, const Elem &b);

  ShapeFacts &facts;

private:
  Elem atOp(Operation *op, Value value, ArrayRef<AffineExpr> index);
  Elem atConcat(Operation *op, Value value, ArrayRef<AffineExpr> index);
  Elem atConstant(Value value, ArrayRef<AffineExpr> index);
  /// The same for a weight in a file: one number everywhere, or two that make a band along the diagonal (a stored mask).
  Elem atStored(Value value, ArrayRef<AffineExpr> index);
  std::optional<Elem> band(Value value, ArrayRef<AffineExpr> index, function_ref<double(int64_t)> element);
  /// The operand's element at an index of the broadcast result.
  std::optional<Elem> operand(Value operand, Value result, ArrayRef<AffineExpr> index);
  bool reshape(Value from, Value to, Index &index);

  IndexExprs exprs;
  AffineExpr refine(Value value, int64_t axis, AffineExpr extent);
  bool atLeast(AffineExpr extent, AffineExpr bound);

  MLIRContext *context;
  DenseMap<Value, std::unique_ptr<Index>> shapes;
  unsigned budget = 4096;
};

/// Conditions with constants, double negations and equal parts folded away.
Elem makeNot(Elem condition, ElementFacts &facts);
Elem makeAnd(Elem a, Elem b, ElementFacts &facts);
Elem makeOr(Elem a, Elem b, ElementFacts &facts);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_ELEMENTS_H
