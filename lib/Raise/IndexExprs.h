//===- IndexExprs.h - index arithmetic over dims with ranges ---------------===//
//
// Sums of products over dims, symbols, quotients and remainders, in one normal form. MLIR's own simplification knows no
// ranges: here (h * 4 + d) floordiv 4 is h where d < 4.
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_RAISE_INDEXEXPRS_H
#define MOE_LIB_RAISE_INDEXEXPRS_H

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/STLExtras.h"

#include <functional>
#include <map>
#include <optional>

namespace mlir::moe {

/// The ranges of the dims: d_k lies in [0, extents[k]). `isSize` tells the symbols that are >= 0 from the others.
class IndexExprs {
public:
  IndexExprs(MLIRContext *context, ArrayRef<AffineExpr> extents, std::function<bool(AffineExpr)> isSize)
      : context(context), extents(extents.begin(), extents.end()), isSize(std::move(isSize)) {}

  AffineExpr simplify(AffineExpr expr) { return expr ? toExpr(poly(expr)) : expr; }
  /// Certainly >= 0.
  bool nonNegative(AffineExpr expr) { return nonNegative(poly(expr)); }
  /// Certainly in [0, bound).
  bool below(AffineExpr expr, AffineExpr bound);
  /// An extent of the index space, so at least 1 wherever there is an element.
  bool isExtent(AffineExpr expr) const { return llvm::is_contained(extents, expr); }
  /// A further dim, and its range.
  AffineExpr addDim(AffineExpr extent);

private:
  /// Coefficients of products; a product is a sorted list of dims, symbols, quotients and remainders.
  using Product = SmallVector<AffineExpr, 4>;
  struct Less {
    bool operator()(const Product &a, const Product &b) const;
  };
  using Poly = std::map<Product, int64_t, Less>;

  Poly poly(AffineExpr expr);
  AffineExpr toExpr(const Poly &poly) const;
  Poly quotient(const Poly &value, const Poly &by, bool remainder);
  void recompose(Poly &poly);
  bool nonNegative(Poly poly, unsigned depth = 0);
  std::optional<Poly> upperBound(AffineExpr atom);
  bool atomNonNegative(AffineExpr atom);
  static void add(Poly &to, const Poly &from, int64_t factor = 1);
  static Poly multiply(const Poly &a, const Poly &b);

  MLIRContext *context;
  SmallVector<AffineExpr> extents;
  std::function<bool(AffineExpr)> isSize;
};

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_INDEXEXPRS_H
