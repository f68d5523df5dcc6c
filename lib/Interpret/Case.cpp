//===- Case.cpp - stored inputs and expected outputs ----------------------===//
#include "moe/Interpret/Case.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::moe;

/// The files `<kind>_0.pb`, `<kind>_1.pb`, ... of a folder.
static FailureOr<SmallVector<NamedTensor>> readFiles(func::FuncOp function, StringRef folder, StringRef kind) {
  SmallVector<NamedTensor> tensors;
  for (unsigned i = 0;; ++i) {
    SmallString<256> path(folder);
    llvm::sys::path::append(path, kind + "_" + Twine(i) + ".pb");
    if (!llvm::sys::fs::exists(path))
      return tensors;
    FailureOr<NamedTensor> tensor = readTensorFile(function.getContext(), path, [&] { return function.emitError(); });
    if (failed(tensor))
      return failure();
    tensors.push_back(std::move(*tensor));
  }
}

/// `tensor` as a value of `type`: the same bits, whatever signedness the type has lost. Some writers store a scalar
/// with shape [1].
static FailureOr<HostTensor> fit(func::FuncOp function, HostTensor tensor, Type type, StringRef what) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  if ((!ranked || ranked.getRank() == 0) && tensor.shape() == ArrayRef<int64_t>{1})
    tensor = tensor.reshaped({});
  Type element = getElementTypeOrSelf(type);
  bool sameElement = tensor.elementType() == element ||
                     (isa<IntegerType>(tensor.elementType()) && isa<IntegerType>(element) &&
                      tensor.elementType().getIntOrFloatBitWidth() == element.getIntOrFloatBitWidth());
  bool sameShape = ranked ? ranked.getRank() == tensor.rank() &&
                                llvm::all_of(llvm::zip(ranked.getShape(), tensor.shape()),
                                             [](auto dims) {
                                               auto [wanted, found] = dims;
                                               return ShapedType::isDynamic(wanted) || wanted == found;
                                             })
                          : tensor.rank() == 0;
  if (sameElement && sameShape)
    return tensor.retyped(element);
  return function.emitError() << "expects " << what << " of the case to be " << type << ", found "
                              << RankedTensorType::get(tensor.shape(), tensor.elementType());
}

/// Files in the order of `names`: by name where every file has a name of the list, else by number.
static FailureOr<SmallVector<HostTensor>> arrange(func::FuncOp function, ArrayRef<NamedTensor> files, TypeRange types,
                                                  ArrayRef<StringRef> names, StringRef kind, StringRef folder) {
  if (files.size() != types.size())
    return function.emitError() << "expects " << types.size() << " files " << kind << "_N.pb in '" << folder
                                << "', found " << files.size();
  SmallVector<int64_t> source(types.size(), -1);
  for (auto [f, file] : llvm::enumerate(files))
    for (auto [i, name] : llvm::enumerate(names))
      if (!name.empty() && name == file.name && source[i] < 0)
        source[i] = f;
  bool byName = !llvm::is_contained(source, -1);
  SmallVector<HostTensor> tensors;
  for (auto [i, type] : llvm::enumerate(types)) {
    const HostTensor &tensor = files[byName ? source[i] : i].tensor;
    std::string what = (kind + " " + Twine(i) + (names[i].empty() ? "" : " '" + names[i] + "'")).str();
    FailureOr<HostTensor> fitted = fit(function, tensor, type, what);
    if (failed(fitted))
      return failure();
    tensors.push_back(std::move(*fitted));
  }
  return tensors;
}

FailureOr<Case> moe::readCase(func::FuncOp function, StringRef folder) {
  if (!llvm::sys::fs::is_directory(folder))
    return function.emitError() << "expects a folder with a case, found no folder '" << folder << "'";
  SmallVector<StringRef> inputNames, outputNames;
  auto nameOf = [](StringAttr name) { return name ? name.getValue() : StringRef(); };
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    inputNames.push_back(nameOf(function.getArgAttrOfType<StringAttr>(i, "moe.name")));
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    outputNames.push_back(nameOf(function.getResultAttrOfType<StringAttr>(i, "moe.name")));
  FailureOr<SmallVector<NamedTensor>> inputs = readFiles(function, folder, "input"), outputs = failure();
  if (failed(inputs) || failed(outputs = readFiles(function, folder, "output")))
    return failure();
  FailureOr<SmallVector<HostTensor>> in =
      arrange(function, *inputs, function.getArgumentTypes(), inputNames, "input", folder);
  if (failed(in))
    return failure();
  FailureOr<SmallVector<HostTensor>> out =
      arrange(function, *outputs, function.getResultTypes(), outputNames, "output", folder);
  if (failed(out))
    return failure();
  return Case{std::move(*in), std::move(*out)};
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

static Tolerance resolve(const HostTensor &expected, Tolerance given) {
  double rtol = 1e-3, atol = 1e-4;
  if (expected.element() < Element::F32) {
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0, n = expected.numElements(); i < n; ++i)
      if (double value = expected.number(i); std::isfinite(value)) {
        sum += value * value;
        ++count;
      }
    double rms = count ? std::sqrt(sum / count) : 0;
    rtol = expected.element() == Element::F16 ? 1e-2 : 3e-2;
    atol = rtol * rms;
  }
  return {given.rtol < 0 ? rtol : given.rtol, given.atol < 0 ? atol : given.atol};
}

Comparison moe::compare(const HostTensor &found, const HostTensor &expected, Tolerance tolerance) {
  Comparison result;
  result.elements = expected.numElements();
  bool floats = isFloat(expected.element());
  Tolerance limit = floats ? resolve(expected, tolerance) : Tolerance{0, 0};
  for (int64_t i = 0; i < result.elements; ++i) {
    double e = expected.number(i), f = found.number(i), difference = std::fabs(f - e);
    bool same = floats ? f == e || (std::isnan(e) && std::isnan(f)) : found.integer(i) == expected.integer(i);
    if (std::isfinite(difference)) {
      result.maxAbs = std::max(result.maxAbs, difference);
      if (e != 0)
        result.maxRel = std::max(result.maxRel, difference / std::fabs(e));
      same |= floats && difference <= limit.atol + limit.rtol * std::fabs(e);
    }
    if (same || result.mismatches++ > 0)
      continue;
    result.expected = e;
    result.found = f;
    int64_t rest = i;
    result.firstBad.resize(expected.rank());
    for (int64_t d = expected.rank() - 1; d >= 0; rest /= expected.dim(d--))
      result.firstBad[d] = rest % expected.dim(d);
  }
  return result;
}

void moe::print(llvm::raw_ostream &os, const Comparison &c) {
  auto number = [](double value) { return llvm::format("%.9g", value); };
  os << "max_abs " << llvm::format("%.3g", c.maxAbs) << " max_rel " << llvm::format("%.3g", c.maxRel) << " mismatches "
     << c.mismatches << " of " << c.elements;
  if (c.mismatches == 0)
    return;
  os << ", first at [";
  llvm::interleaveComma(c.firstBad, os);
  os << "]: expected " << number(c.expected) << ", found " << number(c.found);
}
