// Check.cpp - moe-run check: runs stored cases (input_N.pb) and compares with their stored outputs (output_N.pb).
#include "Commands.h"
#include "Model.h"
#include "base/Dtype.h"
#include "base/File.h"
#include "base/Json.h"

#include <cmath>

namespace moe {

/// Reads PREFIX0.pb, PREFIX1.pb, ... of |folder| into the order of |values|: by name where a tensor has one that fits,
/// else by number.
Status readCaseTensors(const std::string &folder, const std::string &prefix, const std::vector<ValueInfo> &values,
                       std::vector<Tensor> &out) {
  out.clear();
  out.resize(values.size());
  std::vector<bool> given(values.size());
  for (size_t i = 0;; ++i) {
    std::string path = joinPath(folder, prefix + std::to_string(i) + ".pb");
    if (!fileExists(path)) {
      if (i == values.size())
        return Status();
      std::string names;
      for (size_t v = 0; v < values.size(); ++v)
        if (!given[v])
          names += (names.empty() ? "" : ", ") + values[v].name;
      return Status(MOE_INVALID_ARGUMENT,
                    folder +
                        format(": expected %zu files %sN.pb, found %zu; missing: ", values.size(), prefix.c_str(), i) +
                        names);
    }
    if (i >= values.size())
      return Status(MOE_INVALID_ARGUMENT,
                    path + format(": expected %zu files %sN.pb, found more", values.size(), prefix.c_str()));
    std::string bytes;
    Tensor tensor;
    MOE_RETURN_IF_ERROR(readFile(path, bytes));
    MOE_RETURN_IF_ERROR(readTensorProto(path, bytes, tensor));
    size_t slot = i;
    for (size_t v = 0; v < values.size(); ++v)
      if (!tensor.name.empty() && tensor.name == values[v].name)
        slot = v;
    if (given[slot])
      return Status(MOE_INVALID_ARGUMENT,
                    path + ": expected a tensor that no other file gives, found " + values[slot].name + " again");
    given[slot] = true;
    // Some exporters store a scalar as one element of rank 1.
    if (values[slot].dims.empty() && tensor.shape == std::vector<int64_t>{1})
      tensor.shape.clear();
    if (tensor.dtype != values[slot].dtype || tensor.shape.size() != values[slot].dims.size())
      return Status(MOE_INVALID_ARGUMENT, path + ": expected " + moe_dtype_name(values[slot].dtype) +
                                              format(" of rank %zu for ", values[slot].dims.size()) +
                                              values[slot].name + ", found " + describe(tensor.dtype, tensor.shape));
    tensor.name = values[slot].name;
    out[slot] = std::move(tensor);
  }
}

namespace {

struct Tolerance {
  double relative, absolute;
};

struct Comparison {
  std::string name;
  double maxAbsolute = 0, maxRelative = 0;
  size_t mismatches = 0, elements = 0;
  std::string first; // the first mismatch: coordinate and both values
};

/// Default tolerances, by element type; those of 16-bit floats are in units of the expected output's RMS.
Tolerance toleranceOf(const Tensor &expected) {
  auto rms = [&] {
    double sum = 0;
    for (size_t i = 0; i < expected.elements(); ++i) {
      double value = loadAsDouble(expected.dtype, expected.data(), i);
      sum += std::isfinite(value) ? value * value : 0;
    }
    return std::sqrt(sum / double(std::max<size_t>(expected.elements(), 1)));
  };
  switch (expected.dtype) {
  case MOE_DTYPE_FLOAT32:
  case MOE_DTYPE_FLOAT64:
    return {1e-3, 1e-4};
  case MOE_DTYPE_FLOAT16:
    return {1e-2, 1e-2 * rms()};
  case MOE_DTYPE_BFLOAT16:
    return {3e-2, 3e-2 * rms()};
  default:
    return {0, 0};
  }
}

std::string coordinate(size_t index, const std::vector<int64_t> &shape) {
  std::string text;
  for (size_t d = shape.size(); d-- > 0; index /= size_t(shape[d]))
    text = std::to_string(index % size_t(shape[d])) + (text.empty() ? "" : ", ") + text;
  return "[" + text + "]";
}

Comparison compare(const Tensor &expected, const moe_tensor_t &found, Tolerance tolerance) {
  Comparison result;
  result.name = expected.name;
  result.elements = expected.elements();
  bool exact = !isFloat(expected.dtype);
  for (size_t i = 0; i < result.elements; ++i) {
    double want = loadAsDouble(expected.dtype, expected.data(), i), got = loadAsDouble(found.dtype, found.data, i);
    bool same = exact ? loadAsInt(expected.dtype, expected.data(), i) == loadAsInt(found.dtype, found.data, i)
                      : want == got || (std::isnan(want) && std::isnan(got));
    if (same)
      continue;
    double distance = std::fabs(want - got);
    if (!(distance <= result.maxAbsolute)) // also when NaN
      result.maxAbsolute = distance;
    if (want != 0 && !(distance / std::fabs(want) <= result.maxRelative))
      result.maxRelative = distance / std::fabs(want);
    bool near = !exact && std::isfinite(want) && distance <= tolerance.absolute + tolerance.relative * std::fabs(want);
    if (near || (exact && tolerance.absolute > 0 && distance <= tolerance.absolute))
      continue;
    if (result.mismatches++ == 0)
      result.first = coordinate(i, expected.shape) + format(": expected %.9g, found %.9g", want, got);
  }
  return result;
}

Status runCheck(const Options &options, int &exitCode) {
  const std::vector<std::string> &arguments = options.arguments();
  double relative = -1, absolute = -1;
  MOE_RETURN_IF_ERROR(options.number("rtol", 0, 1e9, relative));
  MOE_RETURN_IF_ERROR(options.number("atol", 0, 1e9, absolute));
  if (arguments.size() < 2 && !options.has("verify"))
    return Status(MOE_INVALID_ARGUMENT, "check: expected at least one CASE_DIR or --verify, found neither");
  Model model;
  MOE_RETURN_IF_ERROR(model.load(arguments[0], options));
  FILE *words = options.json() ? stderr : stdout;
  if (options.has("verify")) {
    MOE_RETURN_IF_ERROR(toStatus(moe_artefact_verify(model.artefact())));
    fprintf(words, "%s: all checksums agree (%.1f MB of weights)\n", arguments[0].c_str(),
            double(model.info().weight_bytes) / 1e6);
  }
  if (arguments.size() > 1 && std::string(model.info().fp8) != "off" && relative < 0 && absolute < 0)
    return Status(MOE_INVALID_ARGUMENT, std::string("check: an artefact with fp8=") + model.info().fp8 +
                                            " has no default tolerance; give --rtol and --atol");
  std::vector<ValueInfo> inputs = model.inputs(0), outputs = model.outputs(0);
  // Everything is read before anything runs, so that bad input is found at once.
  struct Case {
    std::string folder;
    std::vector<Tensor> inputs, outputs;
  };
  std::vector<Case> cases;
  for (size_t c = 1; c < arguments.size(); ++c) {
    Case one;
    one.folder = arguments[c];
    if (!isFolder(one.folder))
      return Status(MOE_NOT_FOUND, one.folder + ": expected a folder with input_N.pb and output_N.pb, found " +
                                       (fileExists(one.folder) ? "a file" : "nothing"));
    MOE_RETURN_IF_ERROR(readCaseTensors(one.folder, "input_", inputs, one.inputs));
    MOE_RETURN_IF_ERROR(readCaseTensors(one.folder, "output_", outputs, one.outputs));
    cases.push_back(std::move(one));
  }
  JsonWriter json;
  json.beginObject().key("cases").beginArray();
  bool allPassed = true;
  for (Case &one : cases) {
    std::vector<moe_tensor_t> found;
    if (Status status = model.run(0, one.inputs, found); !status.ok())
      return Status(status.code(), one.folder + ": " + status.message());
    std::vector<Comparison> comparisons;
    bool passed = true;
    for (size_t i = 0; i < found.size(); ++i) {
      std::vector<int64_t> shape(found[i].extents, found[i].extents + found[i].rank);
      if (shape != one.outputs[i].shape)
        return Status(MOE_INVALID_ARGUMENT, one.folder + ": output " + outputs[i].name + ": the case has " +
                                                describe(one.outputs[i].dtype, one.outputs[i].shape) +
                                                ", the artefact gives " + describe(found[i].dtype, shape));
      Tolerance tolerance = toleranceOf(one.outputs[i]);
      if (relative >= 0)
        tolerance.relative = relative;
      if (absolute >= 0)
        tolerance.absolute = absolute;
      comparisons.push_back(compare(one.outputs[i], found[i], tolerance));
      passed &= comparisons.back().mismatches == 0;
    }
    allPassed &= passed;
    json.beginObject().key("case").value(one.folder).key("passed").value(passed).key("outputs").beginArray();
    for (const Comparison &c : comparisons) {
      json.beginObject()
          .key("name")
          .value(c.name)
          .key("max_abs")
          .value(c.maxAbsolute)
          .key("max_rel")
          .value(c.maxRelative);
      json.key("mismatches").value(c.mismatches).key("elements").value(c.elements).endObject();
      fprintf(words, "%s %s %s: max |difference| %.3g, relative %.3g, %zu of %zu above tolerance%s%s\n",
              c.mismatches ? "FAILED" : "passed", one.folder.c_str(), c.name.c_str(), c.maxAbsolute, c.maxRelative,
              c.mismatches, c.elements, c.first.empty() ? "" : "; first at ", c.first.c_str());
    }
    json.endArray().endObject();
  }
  json.endArray().key("passed").value(allPassed).endObject();
  if (options.json())
    printf("%s\n", json.text().c_str());
  exitCode = allPassed ? 0 : 1;
  return Status();
}
} // namespace

Command checkCommand() {
  return {{"check",
           "MODEL.moe CASE_DIR...",
           "Runs entry main on each case (a folder with input_N.pb and output_N.pb, ONNX's test layout) and compares "
           "with its outputs.\n"
           "Default tolerances: float32 rtol 1e-3 atol 1e-4; float16 1e-2 and bfloat16 3e-2 for both, atol in units of "
           "the output's RMS;\n"
           "integers and bool exact; FP8 artefacts need explicit ones.",
           {{"rtol", "X", "relative tolerance, a share of the expected value (default: by element type)"},
            {"atol", "X", "absolute tolerance, in the output's unit (default: by element type)"},
            {"verify", "", "also read all weights and compare their checksums; then no CASE_DIR is needed"}},
           1,
           1000000},
          runCheck};
}
} // namespace moe
