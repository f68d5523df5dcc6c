// Infer.cpp - moe-run infer: inputs from files, outputs to files of the same kind.
#include "Commands.h"
#include "Model.h"
#include "base/File.h"
#include "base/Json.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace moe {

Status readCaseTensors(const std::string &folder, const std::string &prefix, const std::vector<ValueInfo> &values,
                       std::vector<Tensor> &out);

namespace {
/// A value's name as a file's name.
std::string fileNameOf(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

Status runInfer(const Options &options, int &) {
  for (const char *name : {"inputs", "outputs"})
    if (!options.has(name))
      return Status(MOE_INVALID_ARGUMENT, std::string("infer: expected --") + name + " DIR, found nothing");
  std::string from = options.get("inputs"), to = options.get("outputs");
  Model model;
  MOE_RETURN_IF_ERROR(model.loadArtefact(options.arguments()[0]));
  uint32_t entry = 0;
  MOE_RETURN_IF_ERROR(
      toStatus(moe_artefact_find_entry(model.artefact(), options.get("entry", model.entry(0).name).c_str(), &entry)));
  if (!isFolder(from))
    return Status(MOE_NOT_FOUND, from + ": expected a folder with input_N.pb or NAME.npy, found " +
                                     (fileExists(from) ? "a file" : "nothing"));
  std::vector<ValueInfo> inputs = model.inputs(entry), outputs = model.outputs(entry);
  std::vector<Tensor> feeds;
  bool protos = fileExists(joinPath(from, "input_0.pb"));
  if (protos) {
    MOE_RETURN_IF_ERROR(readCaseTensors(from, "input_", inputs, feeds));
  } else {
    for (const ValueInfo &input : inputs) {
      std::string path = joinPath(from, fileNameOf(input.name) + ".npy"), bytes;
      if (!fileExists(path))
        return Status(MOE_NOT_FOUND,
                      path + ": expected input " + input.name + ", found no such file (and no input_0.pb)");
      Tensor tensor;
      MOE_RETURN_IF_ERROR(readFile(path, bytes));
      MOE_RETURN_IF_ERROR(readNpy(path, bytes, input.dtype, tensor));
      tensor.name = input.name;
      feeds.push_back(std::move(tensor));
    }
  }
  MOE_RETURN_IF_ERROR(model.createSession(options));
  std::vector<moe_tensor_t> results;
  auto begin = std::chrono::steady_clock::now();
  MOE_RETURN_IF_ERROR(model.run(entry, feeds, results));
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  MOE_RETURN_IF_ERROR(makeFolder(to));
  JsonWriter json;
  json.beginObject().key("seconds").value(seconds).key("outputs").beginArray();
  for (size_t i = 0; i < results.size(); ++i) {
    Tensor tensor;
    tensor.name = outputs[i].name, tensor.dtype = results[i].dtype;
    tensor.shape.assign(results[i].extents, results[i].extents + results[i].rank);
    tensor.allocate();
    memcpy(tensor.data(), results[i].data, tensor.bytes());
    std::string path = joinPath(to, protos ? format("output_%zu.pb", i) : fileNameOf(tensor.name) + ".npy");
    MOE_RETURN_IF_ERROR(writeFile(path, protos ? writeTensorProto(tensor) : writeNpy(tensor)));
    json.beginObject()
        .key("name")
        .value(tensor.name)
        .key("dtype")
        .value(moe_dtype_name(tensor.dtype))
        .key("shape")
        .beginArray();
    for (int64_t extent : tensor.shape)
      json.value(extent);
    json.endArray().key("file").value(path).endObject();
    fprintf(options.json() ? stderr : stdout, "%s: %s %s\n", path.c_str(), tensor.name.c_str(),
            describe(tensor.dtype, tensor.shape).c_str());
  }
  json.endArray().endObject();
  if (options.json())
    printf("%s\n", json.text().c_str());
  return Status();
}
} // namespace

Command inferCommand() {
  return {{"infer",
           "MODEL.moe --inputs DIR --outputs DIR",
           "Runs an entry once. Inputs are input_N.pb (ONNX TensorProto) or NAME.npy, one for each input; outputs are "
           "written as the same kind,\n"
           "output_N.pb or NAME.npy. A slash in a name is an underscore in the file's name.",
           {{"inputs", "DIR", "folder of the inputs (required)"},
            {"outputs", "DIR", "folder for the outputs; made if it is not there (required)"},
            {"entry", "NAME", "entry point to run (default: main)"}},
           1,
           1},
          runInfer};
}
} // namespace moe
