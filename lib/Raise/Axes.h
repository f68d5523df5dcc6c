//===- Axes.h - which dimensions of which values run together -------------===//
//
// Exporters flatten, split, expand and transpose between every two operators of an expert layer. Here each dimension of
// a value is a list of axes; a reshape regroups axes, an expand brings a new one, an elementwise op makes axes of its
// operands the same. After relating the ops of a layer, "token", "slot", "expert" and "feature" are axes, and the layout
// ops between them say nothing more:
//
//   %0 = Unsqueeze(%x)   : [t, h] -> [t, 1, h]          dims {t} {} {h}
//   %1 = Expand(%0)      : [t, 1, h] -> [t, k, h]       dims {t} {k} {h}
//   %2 = Reshape(%1)     : [t, k, h] -> [t*k, h]        dims {t k} {h}
//
// A dimension of extent 1 has no axis. An axis can be split later into parts ([256] turns out to be [8, 32]).
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_RAISE_AXES_H
#define MOE_LIB_RAISE_AXES_H

#include "moe/Import/ShapeFacts.h"

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::moe {

using Axes = SmallVector<int, 4>;
using Layout = SmallVector<Axes, 4>;

/// The extent of an axis: a number times symbols (of any form) in a canonical order.
struct Extent {
  int64_t factor = 1;
  SmallVector<AffineExpr, 2> symbols;

  static Extent get(AffineExpr expr);
  bool isOne() const { return factor == 1 && symbols.empty(); }
  bool isStatic() const { return symbols.empty(); }
  bool operator==(const Extent &other) const { return factor == other.factor && symbols == other.symbols; }
  Extent times(const Extent &other) const;
  /// This extent divided by `other` where that leaves no remainder.
  std::optional<Extent> over(const Extent &other) const;
};

/// Axes under union and splitting.
class AxisSpace {
public:
  int make(Extent extent);
  /// The unsplit axes that `axes` stand for, in order.
  Axes leaves(ArrayRef<int> axes) const;
  Axes leaves(const Layout &layout) const;
  const Extent &extent(int axis) const { return atoms[root(axis)].extent; }
  Extent extent(ArrayRef<int> axes) const;
  /// Makes two row-major groups of axes the same; false if their extents cannot agree.
  bool unify(ArrayRef<int> a, ArrayRef<int> b);
  /// The same for dimensions that an op only allows to be equal: a single axis on each side is taken as one even if its
  /// extents were derived in different ways. The result has the extent of `a`.
  bool equate(ArrayRef<int> a, ArrayRef<int> b);

private:
  struct Atom {
    Extent extent;
    mutable int parent = -1; // shortened by `root`
    SmallVector<int, 2> parts;
  };
  int root(int axis) const;
  void split(int axis, const Extent &first, const Extent &rest);
  SmallVector<Atom> atoms;
};

/// Relates the dimensions of values through the ops between them, on demand.
class AxisAnalysis {
public:
  explicit AxisAnalysis(ShapeFacts &facts) : facts(facts) {}

  AxisSpace space;
  Layout &layout(Value value);
  Axes leaves(Value value) { return space.leaves(layout(value)); }
  Axes leaves(Value value, int64_t dim);
  /// Unifies the dimensions of `op`'s operands and results as its meaning says. Fails (with a reason) for ops that it
  /// does not know and for extents that cannot agree. Relating an op again changes nothing.
  LogicalResult relate(Operation *op, std::string &reason);
  /// The axes over whose row-major positions an integer value counts: a Range over tokens, repeated for each slot,
  /// yields the token axes. Nullopt if `value` is no such count.
  std::optional<Axes> positions(Value value);
  /// What is provable about extents and the integers that are made of them.
  ShapeFacts &shapeFacts() { return facts; }
  /// Says that `expr` is `same`, where the facts cannot know it. Call before values of that extent are related.
  void knowExtent(AffineExpr expr, AffineExpr same) { known[expr] = Extent::get(same); }
  AffineExpr extentOf(Value value, int64_t dim) { return facts.shape(value)[dim]; }
  /// Carries known extents through a broadcast: a result's extent is that of its operands if they are the same.
  void carryExtents(Operation *op);
  /// An axis of extent `expr`; none if it is 1.
  Axes fresh(AffineExpr expr);

private:
  LogicalResult relateElementwise(Operation *op);
  LogicalResult relateGather(Operation *op, std::string &reason);
  LogicalResult relateProduct(Operation *op, std::string &reason);
  LogicalResult relateEinsum(Operation *op, std::string &reason);
  bool unify(ArrayRef<int> a, ArrayRef<int> b) { return space.unify(a, b); }

  ShapeFacts &facts;
  DenseMap<Value, Layout> layouts;
  DenseSet<Operation *> related;
  DenseMap<AffineExpr, Extent> known;
};

/// An op that computes each element from the elements at the same place of its operands (with broadcasting).
bool isElementwise(Operation *op);
/// An op that only rearranges elements, or repeats them along new axes.
bool isLayoutOp(Operation *op);
/// A splitting of an Einsum's equation into one string of letters for each input and the output; empty if it has dots.
SmallVector<std::string> einsumTerms(Operation *op);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_AXES_H
