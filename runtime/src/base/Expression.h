// Expression.h - arithmetic over named extents, as the manifest writes sizes: "batch * seq * 1024 + 64".
#ifndef MOE_BASE_EXPRESSION_H
#define MOE_BASE_EXPRESSION_H

#include "base/Status.h"

#include <functional>
#include <string_view>

namespace moe {

/// Evaluates |text|: numbers, names, + - * / % (also floordiv, ceildiv, mod), max(a, b), min(a, b), parentheses;
/// active(g, n): how many of g groups have a row if n rows fall on them evenly, g * (1 - (1 - 1/g)^n).
/// |lookup| gives the value of a name, or false. Overflow, division by zero and syntax are errors.
Status evaluateExpression(std::string_view text, const std::function<bool(std::string_view, double &)> &lookup,
                          double &out);

} // namespace moe
#endif // MOE_BASE_EXPRESSION_H
