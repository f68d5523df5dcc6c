//===- ExpertsBody.h - the function of one expert, read from a layer ------===//
//
// From the value that holds the sum over a token's experts back to the rows of x, every op of a layer either moves
// elements, picks the expert's weights, multiplies by routing weights, sums over experts, or belongs to the function of
// one expert. `ExpertsBody` finds the axes of all these values and writes that function as a region of onnx ops on
// `tensor<?xH>`:
//
//   y[t, :] = sum_j w[t, j] * f(x[t, :], params[ids[t, j]])    gathered: the rows are (token, slot)
//   y[t, :] = sum_e R[t, e] * f(x[t, :], params[e])            dense: the rows are (token, expert), R the routing matrix
//   term_e  = R[t, e] * f(x[t, :], params_e)                   one term of an unrolled sum
//   term_j  = w[t, j] * f(x[t, :], params[ids[t, j]])          the same, unrolled over the slots
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_RAISE_EXPERTSBODY_H
#define MOE_LIB_RAISE_EXPERTSBODY_H

#include "RouteValues.h"

#include "mlir/IR/Builders.h"

namespace mlir::moe {

/// One term of an unrolled sum, next to its siblings.
struct ExpertTerm {
  DenseSet<Value> differs;                    // values that are not the same SSA value in every term
  DenseMap<Value, SmallVector<Value>> leaves; // constants of this term, with those of all terms, by expert
  Operation *nonZero = nullptr;               // lists the expert's tokens; null: the term runs over all tokens
  bool ofSlot = false;                        // of one slot of each token
  bool ofExpert = true;                       // of one expert; else it picks its slot's parameters by id
  SmallVector<int64_t> experts;               // those that have a term, ascending; empty: all of the route
};

class ExpertsBody {
public:
  ExpertsBody(RouteValues &route, const DenseSet<Value> &fromRoute, ExpertTerm *term = nullptr)
      : route(route), axes(route.axes), fromRoute(fromRoute), term(term) {}

  /// Reads `sum`. With `weightOnInput`, routing weights multiply x. False with a reason if it is no sum over experts.
  bool read(Value sum, bool weightOnInput);
  /// Makes moe.experts at the builder's place; null (with a reason) if a parameter cannot be brought into form. The
  /// result has the shape of `like`.
  Value write(OpBuilder &b, Location loc, Value like);

  /// Whether the experts that were read give back their rows as they are.
  bool isIdentity();
  /// The value whose rows they read.
  Value input() const { return xBase; }

  std::string reason;
  /// Ops of the layer that were looked at, for the choice between candidates.
  unsigned numOps = 0;

private:
  struct Term {
    Value value;       // in the body; null: a routing weight alone
    Layout groups;     // features of each dimension after the rows
    bool rows = false; // has a leading dimension of rows
    bool weighted = false, summed = false, scalar = false;
    bool isX = false;
    bool zeroAtZero = false; // x = 0 gives 0
  };
  struct Param {
    SmallVector<Value> values; // one [E, ...], or one for each expert
    Layout groups;
    BlockArgument argument;
  };

  bool relateAll(Value sum);
  bool relateCoordinates(Operation *gather);
  bool relateRuns(Operation *op);
  bool relateBank(Operation *op, const RouteValues::Bank &bank);
  bool readsOneTerm(Value result, Value operand);
  bool keepsTermsApart(ArrayRef<Value> read);
  const RouteValues::Bank *bankOf(Operation *op) { return term ? nullptr : route.bankOf(op); }
  bool ofExpert() { return term && term->ofExpert; }
  bool isPartOfBank(Value value);
  bool isIds(Value value);
  bool mayAddWeights();
  bool isWeight(Value value);
  SmallVector<int> partialRows();
  bool isParameter(Value value);
  bool needsReading(Value value);
  bool hasRowAxis(Value value, bool tokensToo = false);
  SmallVector<Value> operandsOf(Operation *op);
  bool fail(const Twine &why);

  std::optional<Term> eval(Value value);
  std::optional<Term> evalNew(Value value);
  std::optional<Term> evalElementwise(Operation *op);
  std::optional<Term> evalProduct(Operation *op);
  std::optional<Term> evalCut(Value value);
  std::optional<Term> evalReduction(Operation *op);
  bool relateNorm(RmsNormOp norm);
  std::optional<Term> evalNorm(RmsNormOp norm);
  std::optional<Term> contract(Term a, Term b, ArrayRef<int> contracted, Type element);
  std::optional<Term> sumOver(Term term, ArrayRef<int> rows);
  std::optional<Term> evalX(Value value);
  std::optional<Term> evalConstant(Value value);
  Term param(ArrayRef<Value> values, Value like, ArrayRef<int> without);

  Axes featuresOf(ArrayRef<int> leaves);
  Axes rowsOf(ArrayRef<int> leaves);
  Layout featureGroups(Value value, ArrayRef<int> without = {});
  int64_t extent(ArrayRef<int> group) { return axes.space.extent(group).factor; }
  SmallVector<int64_t> shapeOf(const Layout &groups, bool rows);
  Value regroup(const Term &term, const Layout &target);
  std::optional<Value> broadcast(const Term &term, const Layout &target);
  Value paramOperand(OpBuilder &b, Location loc, const Param &param);
  Value likeSum(OpBuilder &b, Location loc, Value y, Value like);

  RouteValues &route;
  AxisAnalysis &axes;
  const DenseSet<Value> &fromRoute;
  ExpertTerm *term;
  bool onInput = false;

  DenseMap<Value, std::optional<Term>> terms;
  llvm::MapVector<Value, Param> params;
  DenseSet<Value> visited;
  SmallVector<const RouteValues::Bank *> banks; // met on the way
  llvm::SmallSetVector<const DenseMap<Value, SmallVector<Value>> *, 4>
      leafLists; // constants of banks and of runs of sorted rows
  Axes rowAxes, sumAxes;
  Value xBase;
  std::unique_ptr<Region> region;
  Block *body = nullptr;
  std::optional<OpBuilder> builder;
  Location bodyLoc = UnknownLoc::get(route.route.getContext());
  Term result;
};

/// "'MatMul' of node '/model/...'", for reasons.
std::string describeNode(Operation *op);
/// Gather, GatherND or GatherElements.
bool isGather(Operation *op);

} // namespace mlir::moe

#endif // MOE_LIB_RAISE_EXPERTSBODY_H
