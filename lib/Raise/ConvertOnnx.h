//===- ConvertOnnx.h - the generic lowering's shared parts ----------------===//
// Private to lib/Raise. `moe-convert-onnx` walks the ops of a function in program order and calls one `Lower` function per
// op. The onnx ops stay in place until all are done (their types carry signedness and `ShapeFacts` speaks of their values);
// a map leads from each onnx value to its replacement, whose integers are signless.
//===----------------------------------------------------------------------===//
#ifndef MOE_LIB_RAISE_CONVERTONNX_H
#define MOE_LIB_RAISE_CONVERTONNX_H

#include "dialects/onnx/Onnx.h"
#include "moe/Import/ShapeFacts.h"
#include "moe/Support/SmallFloats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

#include <optional>

namespace mlir::moe::convert {

using Sizes = SmallVector<OpFoldResult>;
using Exprs = SmallVector<AffineExpr>;

/// Scalar code at one place: short names for the `arith` and `math` ops that bodies are made of.
struct Scalars {
  OpBuilder &b;
  Location loc;

  template <typename Op, typename... Args> Value make(Args &&...args) {
    return Op::create(b, loc, std::forward<Args>(args)...);
  }
  /// A constant of a float, integer or index type.
  Value constant(Type type, double value);
  Value integer(Type type, int64_t value);
  Value index(int64_t value) { return integer(b.getIndexType(), value); }
  Value cmp(arith::CmpFPredicate p, Value x, Value y) { return make<arith::CmpFOp>(p, x, y); }
  Value cmp(arith::CmpIPredicate p, Value x, Value y) { return make<arith::CmpIOp>(p, x, y); }
  Value select(Value c, Value x, Value y) { return make<arith::SelectOp>(c, x, y); }
  Value add(Value x, Value y);
  Value sub(Value x, Value y);
  Value mul(Value x, Value y);
  /// Larger and smaller of two; float NaN propagates.
  Value max(Value x, Value y, bool isUnsigned = false);
  Value min(Value x, Value y, bool isUnsigned = false);
  Value negate(Value x);
  Value neg(Value x) { return negate(x); }
  Value exp(Value x) { return make<math::ExpOp>(x); }
  /// 1 / (1 + exp(-x)).
  Value sigmoid(Value x);
  /// The position in the iteration space of the enclosing linalg op.
  Value position(int64_t dim) { return make<linalg::IndexOp>(uint64_t(dim)); }
  Value toIndex(Value x) { return x.getType().isIndex() ? x : make<arith::IndexCastOp>(b.getIndexType(), x); }
  /// Conversion between element types as ONNX's Cast does it: float to integer truncates towards zero, anything to bool
  /// is `!= 0`, float formats round to nearest even; `saturate` is for float8 and smaller. Types carry signedness.
  Value cast(Value x, Type from, Type to, bool saturate = true);
};

using Body = llvm::function_ref<Value(Scalars &, ValueRange)>;

/// How often the sum of f16 and bf16 must not round: the type in which values of `elem` accumulate and are computed.
Type computeType(Type elem);
/// The same integer without signedness; other types unchanged. Tensors by element type.
Type signless(Type type);
inline bool isUnsigned(Type elem) { return elem.isUnsignedInteger() || elem.isInteger(1); }
inline RankedTensorType ranked(Value v) { return cast<RankedTensorType>(v.getType()); }

class OnnxLowering {
public:
  OnnxLowering(func::FuncOp func, ShapeFacts &facts);

  OpBuilder b;
  Location loc;
  Operation *op = nullptr;
  func::FuncOp func;
  ShapeFacts &facts;

  //===--- the op being lowered ---------------------------------------------===//

  void start(Operation *next);
  Scalars scalars() { return Scalars{b, loc}; }
  /// Emits the diagnostic of a variant that has no lowering.
  LogicalResult unsupported(const Twine &why) { return op->emitOpError() << why; }
  /// Notes that shapes do not fit; the builders go on with stand-ins, and `finish` makes the first note the op's diagnostic.
  void refuse(const Twine &why) {
    if (refused.empty())
      refused = why.str();
  }
  LogicalResult finish() { return refused.empty() ? success() : unsupported(refused); }

  /// ONNX's i-th formal input; null where the node leaves it out.
  Value onnxInput(unsigned i);
  /// All operands from ONNX's i-th formal input on (a variadic tail).
  SmallVector<Value> onnxInputsFrom(unsigned i);
  bool has(unsigned i) { return static_cast<bool>(onnxInput(i)); }
  /// The converted value of an input.
  Value input(unsigned i) { return lookup(onnxInput(i)); }
  Value lookup(Value onnxValue);
  /// Element type as ONNX has it (with signedness).
  Type elementOf(unsigned i) { return ranked(onnxInput(i)).getElementType(); }
  int64_t rankOf(unsigned i) { return ranked(onnxInput(i)).getRank(); }

  /// ONNX's i-th formal result; null where the node leaves it out.
  Value onnxResult(unsigned i = 0);
  bool wanted(unsigned i) { return static_cast<bool>(onnxResult(i)) && !onnxResult(i).use_empty(); }
  /// Its type with signless elements.
  RankedTensorType resultType(unsigned i = 0) { return cast<RankedTensorType>(signless(onnxResult(i).getType())); }
  Type resultElement(unsigned i = 0) { return ranked(onnxResult(i)).getElementType(); }
  void set(unsigned i, Value v);
  void set(Value v) { set(0, v); }
  void bind(Value onnxValue, Value v) { values[onnxValue] = v; }

  int64_t intAttr(StringRef name, int64_t otherwise);
  double floatAttr(StringRef name, double otherwise);
  Type typeAttr(StringRef name, Type otherwise);
  std::string stringAttr(StringRef name, StringRef otherwise);
  std::optional<SmallVector<int64_t>> intsAttr(StringRef name);
  /// The attribute `axis`, counted from the front; nullopt when out of range.
  std::optional<int64_t> axisAttr(int64_t otherwise, int64_t rank, StringRef name = "axis");
  /// Elements of a constant integer input; nullopt if they are not known at compile time.
  std::optional<SmallVector<int64_t>> constantInts(Value onnxValue);
  /// Axes from attribute `axes` or, failing that, constant input i; counted from the front. `given` tells an absent list.
  FailureOr<SmallVector<int64_t>> axes(std::optional<unsigned> inputIndex, int64_t rank, bool &given);

  //===--- extents ----------------------------------------------------------===//

  /// Symbolic extents of a converted or onnx value. An extent that no fact determines gets a symbol of this class's own.
  Exprs shapeOf(Value v);
  void setShape(Value v, Exprs shape) { shapes[v] = std::move(shape); }
  bool equal(AffineExpr x, AffineExpr y);
  AffineExpr expr(int64_t constant) { return b.getAffineConstantExpr(constant); }
  /// The value of an expression, if it can be computed at this point.
  std::optional<OpFoldResult> known(AffineExpr e);
  /// The expression of an extent: what it was computed from, else a symbol.
  AffineExpr exprOf(OpFoldResult x);
  Exprs exprsOf(ArrayRef<OpFoldResult> sizes);
  OpFoldResult size(Value v, int64_t dim);
  Sizes sizes(Value v);
  /// Extent of a result of the op being lowered, if it does not depend on that result.
  std::optional<OpFoldResult> resultSize(int64_t dim, unsigned i = 0);
  /// All of them, the unknown ones from `otherwise`.
  Sizes resultSizes(unsigned i, llvm::function_ref<OpFoldResult(int64_t)> otherwise);
  /// Whether `axis` is in a list that only run time knows.
  Value isAmong(Value onnxAxes, int64_t axis, int64_t rank);
  /// The `count` extents of v that run time keeps, in order.
  Sizes pickedSizes(Value v, llvm::function_ref<Value(int64_t)> isKept, int64_t count);
  /// k-th element of a rank-0/1 integer input as an index.
  OpFoldResult element(Value onnxValue, int64_t k);
  /// Element of a rank-0 or one-element tensor.
  Value scalarOf(Value v);

  OpFoldResult at(int64_t constant) { return b.getIndexAttr(constant); }
  Value value(OpFoldResult x);
  OpFoldResult fold(Value v);
  OpFoldResult add(OpFoldResult x, OpFoldResult y);
  OpFoldResult sub(OpFoldResult x, OpFoldResult y);
  OpFoldResult mul(OpFoldResult x, OpFoldResult y);
  OpFoldResult min(OpFoldResult x, OpFoldResult y);
  OpFoldResult max(OpFoldResult x, OpFoldResult y);
  /// Signed divisions; the divisor is not zero.
  OpFoldResult ceilDiv(OpFoldResult x, OpFoldResult y);
  OpFoldResult floorDiv(OpFoldResult x, OpFoldResult y);

  //===--- tensors ----------------------------------------------------------===//

  Value empty(Type elem, ArrayRef<OpFoldResult> sizes);
  Value fill(Type elem, ArrayRef<OpFoldResult> sizes, Value scalar);
  /// A rank-0 tensor.
  Value wrap(Value scalar);
  /// out[d...] = body(ins at their maps); the iteration space is the result.
  Value generic(Type elem, ArrayRef<OpFoldResult> sizes, ValueRange ins, ArrayRef<AffineMap> maps, Body body);
  /// The same without inputs: the body reads positions and extracts.
  Value generate(Type elem, ArrayRef<OpFoldResult> sizes, Body body) { return generic(elem, sizes, {}, {}, body); }
  /// Reduction: loops `dims`, result over the dims in `outMap`; body(elements..., accumulator).
  Value contraction(Value init, ArrayRef<OpFoldResult> loops, AffineMap outMap, ValueRange ins,
                    ArrayRef<AffineMap> maps, Body body);
  /// Numpy-style broadcasting of all `ins`; elements as they are.
  Value elementwise(Type elem, ValueRange ins, Body body);
  /// The same, for a result of the given sizes.
  Value broadcast(Type elem, ArrayRef<OpFoldResult> sizes, ValueRange ins, Body body);
  /// The sizes that numpy's rules give for the operands together.
  Sizes broadcastSizes(ValueRange ins);
  /// v read with numpy's rules at every place of the given sizes.
  Value broadcastTo(Value v, ArrayRef<OpFoldResult> sizes);
  /// Elements converted one by one; types carry signedness.
  Value castElements(Value v, Type from, Type to, bool saturate = true);
  /// v in f32 if it is a narrower float, else v.
  Value widen(Value v) { return castElements(v, ranked(v).getElementType(), computeType(ranked(v).getElementType())); }
  Value narrow(Value v, Type elem) { return castElements(v, ranked(v).getElementType(), elem); }
  /// Folds `reduced` axes; the result has the others. body(acc, element) in v's element type.
  Value reduce(Value v, ArrayRef<int64_t> reduced, Value init, Body body);
  Value reduceSum(Value v, ArrayRef<int64_t> reduced);
  Value reduceMax(Value v, ArrayRef<int64_t> reduced, bool isUnsigned = false);
  /// The neutral elements of max and min.
  Value lowest(Type elem, bool isUnsigned = false);
  Value highest(Type elem, bool isUnsigned = false);
  /// Dims of extent 1 put in at `positions` of the result, or taken away from there.
  Value insertUnitDims(Value v, ArrayRef<int64_t> positions);
  Value dropUnitDims(Value v, ArrayRef<int64_t> positions);
  Value transpose(Value v, ArrayRef<int64_t> perm);
  /// Same elements in row-major order.
  Value reshape(Value v, ArrayRef<OpFoldResult> sizes);
  /// Dims [first, last) become one.
  Value collapse(Value v, int64_t first, int64_t last);
  Value slice(Value v, ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
              ArrayRef<OpFoldResult> strides = {});
  /// One slice of `axis`, from `offset` on, of `size`.
  Value sliceAxis(Value v, int64_t axis, OpFoldResult offset, OpFoldResult size);
  Value concat(ValueRange parts, int64_t axis);
  Value castTo(Value v, RankedTensorType type);
  /// v with a static extent in its type wherever facts know it; ops that compare types want that.
  Value tighten(Value v);
  /// Row-major product of matrices: contracts the last dim of x with the last but one of y; leading dims broadcast. The
  /// result has `computeType` elements. `transposeY`: y is a matrix [N, K].
  Value matmul(Value x, Value y, bool transposeY = false);
  Value softmax(Value v, int64_t axis);
  Value logSoftmax(Value v, int64_t axis);
  /// Index for reading an extent of `size`: negative counts from the end, and nothing reads out of bounds.
  Value safeIndex(Scalars &s, Value index, Value size);
  /// The same for an index that data bring: one out of bounds ends the run.
  Value checkedIndex(Scalars &s, Value index, Value size);
  /// `v`, where `ok` holds; else the run ends with "node ...: expects `what`".
  Value checked(Scalars &s, Value v, Value ok, const Twine &what);
  /// Ends the run with "node ...: expects `what`" where the condition, known to the host program, does not hold.
  void require(Value ok, const Twine &what);
  /// Two extents that are not known to be equal must be so at run time.
  void requireSame(Value v, int64_t dim, Value other, int64_t otherDim, const Twine &what);
  /// What is read at indices that data bring has an element, unless no index is there.
  void requireElements(OpFoldResult extent, ArrayRef<OpFoldResult> indexSizes);

private:
  /// Reads v at each place of `shape`, which `sizes` give as values, through `map`, or element by element where only run time tells what is broadcast.
  struct Read {
    Value from; // v, or what v is with unit dims put in
    std::optional<AffineMap> map;
    SmallVector<Value> isOne; // per dim of v: null, or an i1 that tells whether the extent is one
  };
  Read read(Value v, ArrayRef<AffineExpr> shape, ArrayRef<OpFoldResult> sizes);

  std::string refused;
  DenseMap<Value, Value> values;
  DenseMap<Value, Exprs> shapes;
  DenseMap<Value, AffineExpr> valueExprs;                           // index values and what they are
  DenseMap<AffineExpr, Value> ownSymbols;                           // symbols that this class introduced
  DenseMap<Value, std::pair<Value, SmallVector<int64_t>>> unitDims; // results of insertUnitDims: source and positions
  llvm::DenseSet<Operation *> originals;                            // ops that were there before
};

using Lower = LogicalResult (*)(OnnxLowering &);
using LowerTable = llvm::StringMap<Lower>;

// One function per family, each in its file.
void addElementwise(LowerTable &table);
void addCast(LowerTable &table);
void addShape(LowerTable &table);
void addSlice(LowerTable &table);
void addReduce(LowerTable &table);
void addNorm(LowerTable &table);
void addProduct(LowerTable &table);
void addConv(LowerTable &table);
void addGather(LowerTable &table);
void addSelect(LowerTable &table);
void addAttention(LowerTable &table);
void addMsAttention(LowerTable &table);
void addMoe(LowerTable &table);
void addLoss(LowerTable &table);

} // namespace mlir::moe::convert

#endif // MOE_LIB_RAISE_CONVERTONNX_H
