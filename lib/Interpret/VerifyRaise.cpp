//===- VerifyRaise.cpp - two modules on the same random inputs ------------===//
#include "moe/Interpret/VerifyRaise.h"

#include "moe/Interpret/Case.h"
#include "moe/Interpret/Interpreter.h"
#include "moe/Interpret/Passes.h"
#include "moe/Support/ExitCode.h"

#include "dialects/moe/Moe.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <map>
#include <random>

namespace mlir::moe {
#define GEN_PASS_DEF_MOEVERIFYRAISE
#include "moe/Interpret/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static constexpr int kAttempts = 40; // for extents that fit together, which nothing tells beforehand

namespace {

/// What one run tries: the values its extents come from and how its inputs are made.
struct Style {
  const char *name;
  std::vector<int64_t> extents;
  bool ties, padded;
  double scale;  // of floats: large ones saturate what a score passes through
  bool required; // both modules must be able to run it
};

const Style kStyles[] = {
    {"one token", {1}, false, false, 1, true},
    {"odd extents", {3, 5, 1, 15}, false, true, 1, true},
    {"repeated values", {4, 2, 1, 8}, true, false, 1, true},
    {"large values", {5, 3, 1, 9}, false, false, 100, true},
    {"no token", {0, 1, 2}, false, false, 1, false},
};

/// Named extents of one run. A name that is a sum of names is their sum.
class Extents {
public:
  Extents(const Style &style, std::mt19937 &random, int attempt) : style(style), random(random), attempt(attempt) {}
  int64_t get(StringRef name) {
    if (name.contains('+')) {
      int64_t sum = 0;
      SmallVector<StringRef> terms;
      name.split(terms, '+');
      for (StringRef term : terms) {
        int64_t number;
        sum += term.trim().getAsInteger(10, number) ? get(term.trim()) : number;
      }
      return sum;
    }
    auto it = named.find(name.str());
    if (it != named.end())
      return it->second;
    // First in order, so that neighbours differ; then whatever fits.
    size_t choice = attempt == 0 ? named.size() : random();
    return named[name.str()] = style.extents[choice % style.extents.size()];
  }
  std::string text() const {
    std::string out;
    for (auto &[name, extent] : named)
      out += (out.empty() ? "" : ", ") + name + " = " + std::to_string(extent);
    return out;
  }

private:
  const Style &style;
  std::mt19937 &random;
  int attempt;
  std::map<std::string, int64_t> named;
};

} // namespace

/// Integers that index a table must stay below its extent: the smallest leading extent of the matrices that are
/// gathered from, which are weights of the module.
static int64_t integerBound(ModuleOp module) {
  int64_t bound = 64;
  auto consider = [&](Value table, int64_t axis) {
    auto type = dyn_cast<RankedTensorType>(table.getType());
    if (type && type.getRank() >= 2 && axis < type.getRank() && !type.isDynamicDim(axis) &&
        table.getDefiningOp<GetWeightOp>())
      bound = std::min(bound, type.getDimSize(axis));
  };
  module.walk([&](Operation *op) {
    if (op->getName().getStringRef() == "onnx.Gather" && op->getNumOperands() == 2) {
      auto axis = op->getAttrOfType<IntegerAttr>("axis");
      consider(op->getOperand(0), axis ? std::max<int64_t>(axis.getInt(), 0) : 0);
    } else if (op->getName().getStringRef() == "tensor.extract") {
      consider(op->getOperand(0), 0);
    }
  });
  return std::max<int64_t>(bound, 1);
}

static HostTensor randomTensor(Type type, ArrayRef<int64_t> shape, StringRef name, const Style &style, int64_t bound,
                               std::mt19937 &random) {
  HostTensor tensor(type, shape);
  char *out = tensor.mutableData();
  unsigned bytes = tensor.bytesPerElement();
  std::normal_distribution<double> normal;
  int64_t last = shape.empty() ? 1 : shape.back();
  for (int64_t i = 0, n = tensor.numElements(); i < n; ++i) {
    int64_t row = last ? i / last : 0, column = last ? i % last : 0;
    if (isFloat(tensor.element())) {
      double value = normal(random) * style.scale;
      storeDouble(tensor.element(), out + i * bytes, style.ties ? std::round(value) / 2 : value, Overflow::Saturate);
    } else if (name == "attention_mask") { // row r lacks its first r positions
      storeInteger(tensor.element(), out + i * bytes, !style.padded || column >= std::min(row, last - 1));
    } else if (name == "position_ids") {
      storeInteger(tensor.element(), out + i * bytes, column);
    } else if (tensor.element() == Element::I1) {
      storeInteger(tensor.element(), out + i * bytes, random() % 4 != 0);
    } else {
      storeInteger(tensor.element(), out + i * bytes, random() % bound);
    }
  }
  return tensor;
}

/// One input an argument. Extents without a name count as names of their own.
static SmallVector<HostTensor> randomInputs(func::FuncOp function, const Style &style, int64_t bound, Extents &extents,
                                            std::mt19937 &random) {
  SmallVector<HostTensor> inputs;
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    SmallVector<int64_t> shape;
    auto dims = function.getArgAttrOfType<ArrayAttr>(i, "moe.dims");
    if (auto ranked = dyn_cast<RankedTensorType>(type))
      for (auto [d, extent] : llvm::enumerate(ranked.getShape())) {
        if (!ShapedType::isDynamic(extent)) {
          shape.push_back(extent);
          continue;
        }
        auto name = dims && d < dims.size() ? dyn_cast<StringAttr>(dims[d]) : StringAttr();
        shape.push_back(extents.get(name ? name.str() : ("argument " + Twine(i) + " dim " + Twine(d)).str()));
      }
    auto name = function.getArgAttrOfType<StringAttr>(i, "moe.name");
    inputs.push_back(
        randomTensor(getElementTypeOrSelf(type), shape, name ? name.getValue() : "", style, bound, random));
  }
  return inputs;
}

static LogicalResult compareResults(func::FuncOp function, ArrayRef<HostTensor> before, ArrayRef<HostTensor> after,
                                    const Twine &where) {
  if (before.size() != after.size())
    return function.emitError() << "expects " << before.size() << " results as before, found " << after.size();
  for (auto [i, expected, found] : llvm::enumerate(before, after)) {
    auto name = function.getResultAttrOfType<StringAttr>(i, "moe.name");
    std::string text;
    llvm::raw_string_ostream os(text);
    if (expected.shape() != found.shape() || expected.elementType() != found.elementType()) {
      os << "expected " << RankedTensorType::get(expected.shape(), expected.elementType()) << ", found "
         << RankedTensorType::get(found.shape(), found.elementType());
    } else {
      Comparison comparison = compare(found, expected, {});
      if (comparison.mismatches == 0)
        continue;
      print(os, comparison);
    }
    return function.emitError() << "differs from before in result " << i
                                << (name ? " '" + name.str() + "'" : std::string()) << " on " << where.str() << ": "
                                << text;
  }
  return success();
}

LogicalResult moe::verifyRaise(ModuleOp before, ModuleOp after, StringRef entry) {
  OwningOpRef<ModuleOp> beforeCopy, afterCopy;
  int64_t bound = integerBound(before);
  FailureOr<ModuleOp> expected = interpretable(before, beforeCopy), found = interpretable(after, afterCopy);
  if (failed(expected) || failed(found))
    return failure();
  auto function = after.lookupSymbol<func::FuncOp>(entry), original = expected->lookupSymbol<func::FuncOp>(entry);
  if (!function || !original)
    return after.emitError() << "expects a function '" << entry << "' in both modules";
  auto quietly = [&](ModuleOp module, ArrayRef<HostTensor> inputs, std::string &why) {
    ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
      llvm::raw_string_ostream os(why);
      os << diagnostic;
      return success();
    });
    return interpret(module, entry, inputs);
  };
  for (auto [seed, style] : llvm::enumerate(kStyles)) {
    std::string why, refused;
    bool ran = false, compared = false;
    for (int attempt = 0; attempt < kAttempts && !compared; ++attempt) {
      std::mt19937 random(static_cast<unsigned>(seed * 1000 + attempt));
      Extents extents(style, random, attempt);
      SmallVector<HostTensor> inputs = randomInputs(original, style, bound, extents, random);
      std::string whyNot;
      FailureOr<SmallVector<HostTensor>> wanted = quietly(*expected, inputs, whyNot);
      if (failed(wanted)) {
        if (why.empty())
          why = whyNot;
        continue;
      }
      ran = true;
      std::string where =
          (Twine(style.name) + " (" + extents.text() + ", seed " + Twine(seed * 1000 + attempt) + ")").str();
      FailureOr<SmallVector<HostTensor>> got = quietly(*found, inputs, whyNot);
      if (failed(got)) { // extents that the model does not mean may still run before
        if (refused.empty())
          refused = where + ": " + whyNot;
        continue;
      }
      if (failed(compareResults(function, *wanted, *got, where)))
        return failure();
      compared = true;
    }
    if (compared || (!ran && !style.required))
      continue;
    if (ran)
      return function.emitError() << "runs before but not after, on " << refused;
    function.emitWarning() << "was not compared on " << style.name << ", since the module before does not run: " << why;
  }
  return success();
}

namespace {
struct VerifyRaisePass : public moe::impl::MoeVerifyRaiseBase<VerifyRaisePass> {
  using MoeVerifyRaiseBase::MoeVerifyRaiseBase;
  void getDependentDialects(DialectRegistry &registry) const override {
    OpPassManager pm(ModuleOp::getOperationName());
    addGenericLowering(pm);
    pm.getDependentDialects(registry);
  }
  void runOnOperation() override {
    markAllAnalysesPreserved();
    OwningOpRef<ModuleOp> before = parseSourceFile<ModuleOp>(against, &getContext());
    if (!before) {
      sawBadInput() = true;
      getOperation().emitError() << "expects 'against' to name a module, found '" << against << "'";
      return signalPassFailure();
    }
    if (failed(verifyRaise(*before, getOperation(), entry)))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> moe::createMoeVerifyRaise() { return std::make_unique<VerifyRaisePass>(); }
