//===- DimAlgebra.h - canonical sums of products of extents ---------------===//
#ifndef MOE_LIB_IMPORT_DIMALGEBRA_H
#define MOE_LIB_IMPORT_DIMALGEBRA_H

#include "mlir/IR/AffineExpr.h"
#include <map>
#include <optional>
#include <vector>

namespace mlir::moe {

/// A polynomial over extents with integer coefficients. An atom is a symbol, or a quotient or remainder that does not
/// simplify. All extents, and so all atoms, are >= 0. Polynomials of many terms or high degree count as unknown: graphs may
/// multiply shapes until no machine holds them.
class DimPolynomial {
public:
  explicit DimPolynomial(AffineExpr e);
  /// nullopt where a coefficient leaves 64 bits, or the polynomial is too large.
  std::optional<AffineExpr> expr(MLIRContext *context) const;
  bool allCoefficientsNonNegative() const;
  /// The coefficient of the largest magnitude; 0 without terms.
  int64_t largestCoefficient() const;
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

  static constexpr size_t kMaxTerms = 128, kMaxDegree = 32;
  std::map<Monomial, int64_t, Less> terms;
  bool overflow = false;
};

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_DIMALGEBRA_H
