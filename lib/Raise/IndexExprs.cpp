//===- IndexExprs.cpp - index arithmetic over dims with ranges -------------===//
#include "IndexExprs.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::moe;

/// Any fixed order within one run: dims, then symbols, by position; then the rest by address.
static bool before(AffineExpr a, AffineExpr b) {
  if (a.getKind() != b.getKind())
    return a.getKind() < b.getKind();
  if (auto dim = dyn_cast<AffineDimExpr>(a))
    return dim.getPosition() < cast<AffineDimExpr>(b).getPosition();
  if (auto symbol = dyn_cast<AffineSymbolExpr>(a))
    return symbol.getPosition() < cast<AffineSymbolExpr>(b).getPosition();
  return a.getAsOpaquePointer() < b.getAsOpaquePointer();
}

bool IndexExprs::Less::operator()(const Product &a, const Product &b) const {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), before);
}

void IndexExprs::add(Poly &to, const Poly &from, int64_t factor) {
  for (auto &[product, coefficient] : from)
    if ((to[product] += factor * coefficient) == 0)
      to.erase(product);
}

IndexExprs::Poly IndexExprs::multiply(const Poly &a, const Poly &b) {
  Poly result;
  for (auto &[p, c] : a)
    for (auto &[q, d] : b) {
      Product both(p);
      llvm::append_range(both, q);
      llvm::sort(both, before);
      add(result, {{both, c * d}});
    }
  return result;
}

IndexExprs::Poly IndexExprs::poly(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue() ? Poly{{Product(), constant.getValue()}} : Poly();
  // A dim over one place is 0.
  if (auto dim = dyn_cast<AffineDimExpr>(expr);
      dim && dim.getPosition() < extents.size() && extents[dim.getPosition()] == getAffineConstantExpr(1, context))
    return {};
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return {{Product{expr}, 1}};
  Poly a = poly(binary.getLHS()), b = poly(binary.getRHS());
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    add(a, b);
    recompose(a);
    return a;
  case AffineExprKind::Mul: {
    Poly product = multiply(a, b);
    recompose(product);
    return product;
  }
  case AffineExprKind::FloorDiv:
    return quotient(a, b, /*remainder=*/false);
  case AffineExprKind::Mod:
    return quotient(a, b, /*remainder=*/true);
  default:
    return {{Product{expr}, 1}};
  }
}

AffineExpr IndexExprs::toExpr(const Poly &poly) const {
  AffineExpr sum = getAffineConstantExpr(0, context);
  for (auto &[product, coefficient] : poly) {
    AffineExpr term = getAffineConstantExpr(coefficient, context);
    for (AffineExpr atom : product)
      term = atom * term;
    sum = sum + term;
  }
  return sum;
}

/// value = by * q + r with 0 <= r < by: whole multiples go into q; the rest stays where it is provably small.
IndexExprs::Poly IndexExprs::quotient(const Poly &value, const Poly &by, bool remainder) {
  AffineExpr divisor = toExpr(by);
  auto opaque = [&](const Poly &rest) -> Poly {
    AffineExpr numerator = toExpr(rest);
    AffineExpr atom =
        getAffineBinaryOpExpr(remainder ? AffineExprKind::Mod : AffineExprKind::FloorDiv, numerator, divisor);
    auto binary = dyn_cast<AffineBinaryOpExpr>(atom);
    if (binary && (binary.getKind() == AffineExprKind::Mod || binary.getKind() == AffineExprKind::FloorDiv))
      return {{Product{atom}, 1}};
    return poly(atom);
  };
  if (by.size() != 1 || by.begin()->second <= 0)
    return opaque(value);
  auto [factors, coefficient] = *by.begin();
  if (factors.empty() && coefficient == 1)
    return remainder ? Poly() : value;
  Poly whole, rest;
  for (auto &[product, c] : value) {
    Product left(product);
    bool divides = c % coefficient == 0;
    for (AffineExpr factor : factors) {
      auto it = llvm::find(left, factor);
      if (it == left.end()) {
        divides = false;
        break;
      }
      left.erase(it);
    }
    add(divides ? whole : rest, {{divides ? left : product, divides ? c / coefficient : c}});
  }
  Poly room = by;
  add(room, rest, -1);
  add(room, {{Product(), 1}}, -1);
  if (nonNegative(rest) && nonNegative(room))
    return remainder ? rest : whole;
  // x mod (a*b) and x floordiv (a*b) keep their whole part outside only as a quotient.
  if (remainder)
    return opaque(rest);
  add(whole, opaque(rest));
  return whole;
}

/// n * (x floordiv n) + x mod n is x.
void IndexExprs::recompose(Poly &poly) {
  for (bool changed = true; changed;) {
    changed = false;
    for (auto &[product, coefficient] : poly) {
      if (product.size() != 1 || product[0].getKind() != AffineExprKind::Mod)
        continue;
      auto mod = cast<AffineBinaryOpExpr>(product[0]);
      Poly scaled =
          multiply({{Product{getAffineBinaryOpExpr(AffineExprKind::FloorDiv, mod.getLHS(), mod.getRHS())}, 1}},
                   this->poly(mod.getRHS()));
      if (scaled.size() != 1)
        continue;
      auto it = poly.find(scaled.begin()->first);
      if (it == poly.end() || it->second != coefficient * scaled.begin()->second)
        continue;
      int64_t factor = coefficient;
      Product key = product, other = it->first;
      poly.erase(key);
      poly.erase(other);
      add(poly, this->poly(mod.getLHS()), factor);
      changed = true;
      break;
    }
  }
}

/// The greatest value of an atom.
std::optional<IndexExprs::Poly> IndexExprs::upperBound(AffineExpr atom) {
  Poly bound;
  if (auto dim = dyn_cast<AffineDimExpr>(atom)) {
    if (dim.getPosition() >= extents.size() || !extents[dim.getPosition()])
      return std::nullopt;
    bound = poly(extents[dim.getPosition()]);
  } else if (atom.getKind() == AffineExprKind::Mod) {
    bound = poly(cast<AffineBinaryOpExpr>(atom).getRHS());
  } else if (atom.getKind() == AffineExprKind::FloorDiv) {
    // x <= m gives x floordiv n <= m floordiv n.
    auto binary = cast<AffineBinaryOpExpr>(atom);
    std::optional<Poly> top = upperBound(binary.getLHS());
    if (!top)
      return std::nullopt;
    Poly steps = quotient(*top, poly(binary.getRHS()), false);
    for (auto &[product, c] : steps)
      for (AffineExpr factor : product)
        if (factor.getKind() == AffineExprKind::FloorDiv)
          return std::nullopt;
    return steps;
  } else {
    return std::nullopt;
  }
  add(bound, {{Product(), 1}}, -1);
  return bound;
}

bool IndexExprs::atomNonNegative(AffineExpr atom) {
  if (isa<AffineDimExpr>(atom))
    return true;
  if (isa<AffineSymbolExpr>(atom))
    return isSize(atom);
  if (atom.getKind() == AffineExprKind::Mod)
    return nonNegative(cast<AffineBinaryOpExpr>(atom).getRHS());
  if (atom.getKind() == AffineExprKind::FloorDiv)
    return nonNegative(cast<AffineBinaryOpExpr>(atom).getLHS()) && nonNegative(cast<AffineBinaryOpExpr>(atom).getRHS());
  return false;
}

bool IndexExprs::nonNegative(Poly poly, unsigned depth) {
  // Where every atom is >= 0, only terms with a negative factor matter: put the greatest value of an atom in its place.
  for (auto &[product, coefficient] : poly)
    if (!llvm::all_of(product, [&](AffineExpr atom) { return atomNonNegative(atom); }))
      return false;
  for (auto &[product, coefficient] : poly) {
    if (coefficient >= 0)
      continue;
    if (depth > 6)
      return false;
    for (size_t i = 0; i < product.size(); ++i) {
      std::optional<Poly> bound = upperBound(product[i]);
      if (!bound)
        continue;
      Product others(product);
      others.erase(others.begin() + i);
      Poly replaced = poly;
      replaced.erase(product);
      add(replaced, multiply(*bound, {{others, coefficient}}));
      if (nonNegative(replaced, depth + 1))
        return true;
    }
    return false;
  }
  return true;
}

bool IndexExprs::below(AffineExpr expr, AffineExpr bound) { return nonNegative(expr) && nonNegative(bound - 1 - expr); }

AffineExpr IndexExprs::addDim(AffineExpr extent) {
  extents.push_back(extent);
  return getAffineDimExpr(extents.size() - 1, context);
}
