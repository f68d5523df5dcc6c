// Expression.cpp - see Expression.h. Precedence climbing on doubles: exact for whole numbers below 2^53.
#include "base/Expression.h"

#include <cctype>
#include <cmath>
#include <cstdlib>

namespace moe {
namespace {
struct Evaluator {
  std::string_view text;
  const std::function<bool(std::string_view, double &)> &lookup;
  size_t at = 0;
  int depth = 0;
  std::string problem;

  double fail(std::string what) {
    if (problem.empty())
      problem = std::move(what);
    at = text.size();
    return 0;
  }
  void skip() {
    while (at < text.size() && isspace((unsigned char)text[at]))
      ++at;
  }
  bool take(std::string_view word) {
    skip();
    if (text.substr(at, word.size()) != word)
      return false;
    at += word.size();
    return true;
  }
  std::string_view word() {
    skip();
    size_t begin = at;
    while (at < text.size() && (isalnum((unsigned char)text[at]) || text[at] == '_' || text[at] == '.'))
      ++at;
    return text.substr(begin, at - begin);
  }
  double sum() {
    double value = product();
    while (problem.empty())
      if (take("+"))
        value += product();
      else if (take("-"))
        value -= product();
      else
        break;
    return value;
  }
  double product() {
    double value = atom();
    while (problem.empty()) {
      if (take("*")) {
        value *= atom();
        continue;
      }
      bool floors = take("/") || take("floordiv"), ceils = !floors && take("ceildiv");
      if (!floors && !ceils && !take("%") && !take("mod"))
        break;
      double divisor = atom();
      if (divisor == 0)
        return fail("division by zero");
      double quotient = std::floor(value / divisor);
      value = floors ? quotient : ceils ? std::ceil(value / divisor) : value - quotient * divisor;
    }
    return value;
  }
  double atom() {
    if (++depth > 200)
      return fail("nested too deeply");
    double value = 0;
    if (take("(")) {
      value = sum();
      if (!take(")"))
        value = fail("expected ')'");
    } else if (take("-")) {
      value = -atom();
    } else {
      std::string_view name = word();
      if (name.empty()) {
        value = fail(format("expected a number or a name at column %zu", at + 1));
      } else if (isdigit((unsigned char)name[0])) {
        char *end;
        std::string number(name);
        value = strtod(number.c_str(), &end);
        if (*end)
          value = fail("expected a number, found " + number);
      } else if ((name == "max" || name == "min" || name == "active") && take("(")) {
        double a = sum();
        if (!take(","))
          a = fail("expected ','");
        double b = sum();
        if (!take(")"))
          fail("expected ')'");
        if (name == "active")
          value = a >= 1 && b >= 0 ? a * (1 - std::pow(1 - 1 / a, b)) : fail("expected groups and rows in active()");
        else
          value = name == "max" ? std::fmax(a, b) : std::fmin(a, b);
      } else if (!lookup(name, value)) {
        value = fail("no extent is named " + std::string(name));
      }
    }
    --depth;
    return value;
  }
};
} // namespace

Status evaluateExpression(std::string_view text, const std::function<bool(std::string_view, double &)> &lookup,
                          double &out) {
  Evaluator evaluator{text, lookup, 0, 0, {}};
  double value = evaluator.sum();
  evaluator.skip();
  if (evaluator.problem.empty() && evaluator.at != text.size())
    evaluator.problem = format("unexpected text at column %zu", evaluator.at + 1);
  if (evaluator.problem.empty() && !std::isfinite(value))
    evaluator.problem = "too large";
  if (!evaluator.problem.empty())
    return Status(MOE_BAD_ARTEFACT, "\"" + std::string(text.substr(0, 80)) + "\": " + evaluator.problem);
  out = value;
  return Status();
}
} // namespace moe
