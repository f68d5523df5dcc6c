//===- DimAlgebra.h - canonical sums of products of extents ---------------===//
#ifndef MOE_LIB_IMPORT_DIMALGEBRA_H
#define MOE_LIB_IMPORT_DIMALGEBRA_H

#include "mlir/IR/AffineExpr.h"
#include <map>
#include <optional>
#include <vector>

namespace mlir::moe {

/// A polynomial over extents with integer coefficients. An atom is a symbol, or a quotient or remainder that does not
/// simplify. All extents, and so all atoms, are >= 0.
class DimPolynomial {
public:
  explicit DimPolynomial(AffineExpr e);
  /// nullopt where a coefficient leaves 64 bits.
  std::optional<AffineExpr> expr(MLIRContext *context) const;
  bool allCoefficientsNonNegative() const;
  /// this / divisor where that leaves no remainder; nullopt otherwise.
  std::optional<DimPolynomial> divide(const DimPolynomial &divisor) const;

private:
  DimPolynomial() = default;
  using Monomial = std::vector<AffineExpr>; // atoms, sorted
  struct Less {
    bool operator()(const Monomial &a, const Monomial &b) const;
  };
  void add(const DimPolynomial &other);
  DimPolynomial times(const DimPolynomial &other) const;
  static DimPolynomial atom(AffineExpr e);

  std::map<Monomial, int64_t, Less> terms;
  bool overflow = false;
};

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_DIMALGEBRA_H
