//===- DimAlgebra.cpp - canonical sums of products of extents -------------===//
//
// AffineExpr simplifies affine sums; shapes also multiply extents (batch * seq). Expressions are therefore expanded into
// polynomials with a fixed order of terms, and written back: equal polynomials give the same AffineExpr object.
//
//===----------------------------------------------------------------------===//
#include "DimAlgebra.h"

using namespace mlir;
using namespace mlir::moe;

/// A stable order: symbols by position, compound atoms by their text (they are rare).
static bool atomLess(AffineExpr a, AffineExpr b) {
  if (a == b)
    return false;
  auto sa = dyn_cast<AffineSymbolExpr>(a), sb = dyn_cast<AffineSymbolExpr>(b);
  if (sa && sb)
    return sa.getPosition() < sb.getPosition();
  if (sa || sb)
    return static_cast<bool>(sa);
  std::string ta, tb;
  llvm::raw_string_ostream(ta) << a;
  llvm::raw_string_ostream(tb) << b;
  return ta < tb;
}

bool DimPolynomial::Less::operator()(const Monomial &a, const Monomial &b) const {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), atomLess);
}

DimPolynomial DimPolynomial::atom(AffineExpr e) {
  DimPolynomial p;
  p.terms[{e}] = 1;
  return p;
}

void DimPolynomial::add(const DimPolynomial &other) {
  overflow |= other.overflow;
  for (const auto &[monomial, coefficient] : other.terms) {
    int64_t &mine = terms[monomial];
    overflow |= __builtin_add_overflow(mine, coefficient, &mine);
    if (mine == 0)
      terms.erase(monomial);
  }
  overflow |= terms.size() > kMaxTerms;
}

DimPolynomial DimPolynomial::times(const DimPolynomial &other) const {
  DimPolynomial result;
  result.overflow = overflow || other.overflow;
  for (const auto &[ma, ca] : terms)
    for (const auto &[mb, cb] : other.terms) {
      if (result.overflow || ma.size() + mb.size() > kMaxDegree) {
        result.overflow = true;
        return result;
      }
      DimPolynomial term;
      Monomial monomial = ma;
      monomial.insert(monomial.end(), mb.begin(), mb.end());
      std::sort(monomial.begin(), monomial.end(), atomLess);
      int64_t coefficient;
      result.overflow |= __builtin_mul_overflow(ca, cb, &coefficient);
      term.terms[monomial] = coefficient;
      result.add(term);
    }
  return result;
}

std::optional<DimPolynomial> DimPolynomial::divide(const DimPolynomial &divisor) const {
  if (overflow || divisor.overflow || divisor.terms.empty())
    return std::nullopt;
  if (divisor.terms.size() > 1) {
    // Long division by the last term; if it comes out even, it is right whatever the order of terms.
    DimPolynomial result, rest = *this, lead;
    lead.terms.insert(*divisor.terms.rbegin());
    for (unsigned steps = 0; steps < 64 && !rest.terms.empty(); ++steps) {
      DimPolynomial last;
      last.terms.insert(*rest.terms.rbegin());
      std::optional<DimPolynomial> quotient = last.divide(lead);
      if (!quotient)
        return std::nullopt;
      result.add(*quotient);
      DimPolynomial minus = divisor.times(*quotient);
      for (auto &term : minus.terms)
        term.second = -term.second;
      rest.add(minus);
      if (rest.overflow || result.overflow)
        return std::nullopt;
    }
    return rest.terms.empty() ? std::optional(result) : std::nullopt;
  }
  const auto &[by, coefficient] = *divisor.terms.begin();
  if (coefficient == 0)
    return std::nullopt;
  DimPolynomial result;
  for (const auto &[monomial, mine] : terms) {
    if (mine % coefficient)
      return std::nullopt;
    Monomial rest = monomial;
    for (AffineExpr atom : by) {
      auto found = std::find(rest.begin(), rest.end(), atom);
      if (found == rest.end())
        return std::nullopt;
      rest.erase(found);
    }
    result.terms[rest] = mine / coefficient;
  }
  return result;
}

DimPolynomial::DimPolynomial(AffineExpr e) {
  if (auto constant = dyn_cast<AffineConstantExpr>(e)) {
    if (constant.getValue() != 0)
      terms[{}] = constant.getValue();
    return;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(e);
  if (!binary) {
    *this = atom(e);
    return;
  }
  DimPolynomial lhs(binary.getLHS()), rhs(binary.getRHS());
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    *this = lhs;
    add(rhs);
    return;
  case AffineExprKind::Mul:
    *this = lhs.times(rhs);
    return;
  default: {
    std::optional<DimPolynomial> quotient = lhs.divide(rhs);
    if (quotient && binary.getKind() != AffineExprKind::Mod) {
      *this = *quotient;
      return;
    }
    if (quotient)
      return; // a remainder of 0
    std::optional<AffineExpr> l = lhs.expr(e.getContext()), r = rhs.expr(e.getContext());
    overflow = !l || !r;
    if (!overflow) {
      AffineExpr compound = binary.getKind() == AffineExprKind::FloorDiv  ? l->floorDiv(*r)
                            : binary.getKind() == AffineExprKind::CeilDiv ? l->ceilDiv(*r)
                                                                          : *l % *r;
      if (isa<AffineBinaryOpExpr>(compound) && cast<AffineBinaryOpExpr>(compound).getKind() == binary.getKind())
        *this = atom(compound);
      else
        *this = DimPolynomial(compound);
    }
    return;
  }
  }
}

std::optional<AffineExpr> DimPolynomial::expr(MLIRContext *context) const {
  if (overflow)
    return std::nullopt;
  AffineExpr sum;
  for (const auto &[monomial, coefficient] : terms) {
    AffineExpr term;
    for (AffineExpr atom : monomial)
      term = term ? term * atom : atom;
    term = term ? term * coefficient : getAffineConstantExpr(coefficient, context);
    sum = sum ? sum + term : term;
  }
  return sum ? sum : getAffineConstantExpr(0, context);
}

int64_t DimPolynomial::largestCoefficient() const {
  int64_t most = 0;
  for (const auto &[monomial, coefficient] : terms)
    if (coefficient < -std::abs(most) || coefficient > std::abs(most))
      most = coefficient;
  return most;
}

bool DimPolynomial::allCoefficientsNonNegative() const {
  return !overflow && llvm::all_of(terms, [](const auto &term) { return term.second >= 0; });
}
