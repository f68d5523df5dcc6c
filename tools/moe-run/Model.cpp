// Model.cpp - see Model.h.
#include "Model.h"
#include "base/Dtype.h"

#include <algorithm>
#include <map>

namespace moe {

Model::~Model() {
  moe_session_release(session_);
  moe_artefact_release(artefact_);
}

Status Model::loadArtefact(const std::string &path) {
  path_ = path;
  MOE_RETURN_IF_ERROR(toStatus(moe_artefact_load(path.c_str(), nullptr, &artefact_)));
  info_.struct_size = sizeof(info_);
  return toStatus(moe_artefact_get_info(artefact_, &info_));
}

Status Model::createSession(const Options &options) {
  int64_t threads = 0, device = 0;
  MOE_RETURN_IF_ERROR(options.integer("threads", 1, 4096, threads));
  MOE_RETURN_IF_ERROR(options.integer("device", 0, 1024, device));
  moe_session_options_t session = {sizeof(session), uint32_t(threads), int32_t(device), nullptr};
  return toStatus(moe_session_create(artefact_, &session, &session_));
}

Status Model::load(const std::string &path, const Options &options) {
  MOE_RETURN_IF_ERROR(loadArtefact(path));
  return createSession(options);
}

moe_entry_info_t Model::entry(uint32_t entry) const {
  moe_entry_info_t info{};
  info.struct_size = sizeof(info);
  moe_artefact_get_entry(artefact_, entry, &info);
  return info;
}

std::vector<ValueInfo> Model::values(uint32_t entry, bool inputs) const {
  moe_entry_info_t info = this->entry(entry);
  std::vector<ValueInfo> list;
  for (uint32_t i = 0; i < (inputs ? info.num_inputs : info.num_outputs); ++i) {
    moe_value_info_t value{};
    value.struct_size = sizeof(value);
    (inputs ? moe_artefact_get_input : moe_artefact_get_output)(artefact_, entry, i, &value);
    list.push_back({value.name, value.role, value.dtype, {value.dims, value.dims + value.rank}, value.max_value});
  }
  return list;
}

std::vector<ValueInfo> Model::inputs(uint32_t entry) const {
  int64_t vocabulary = -1;
  for (const ValueInfo &output : outputs(entry))
    if (output.role == "logits" && !output.dims.empty())
      vocabulary = output.dims.back().extent;
  std::vector<ValueInfo> list = values(entry, true);
  for (ValueInfo &input : list)
    if (input.role == "token_ids" && input.maxValue < 0 && vocabulary > 0)
      input.maxValue = vocabulary - 1;
  return list;
}

Status Model::run(uint32_t entry, const std::vector<Tensor> &inputs, std::vector<moe_tensor_t> &outputs) {
  std::vector<moe_tensor_t> views;
  for (const Tensor &input : inputs)
    views.push_back(input.view());
  outputs.assign(this->entry(entry).num_outputs, moe_tensor_t{});
  moe_run_args_t args = {sizeof(args), entry, views.size(), views.data(), outputs.size(), outputs.data()};
  return toStatus(moe_session_run(session_, &args));
}

void fillConstant(Tensor &tensor, double value) {
  for (size_t i = 0, count = tensor.elements(); i < count; ++i)
    storeFromDouble(tensor.dtype, tensor.data(), i, value);
}

void fillPositions(Tensor &tensor) {
  int64_t last = tensor.shape.empty() ? 1 : std::max<int64_t>(tensor.shape.back(), 1);
  for (size_t i = 0, count = tensor.elements(); i < count; ++i)
    storeFromDouble(tensor.dtype, tensor.data(), i, double(int64_t(i) % last));
}

Status LanguageModel::open(Model &model, uint32_t entry, LanguageModel &out) {
  out.model_ = &model, out.entry_ = entry;
  out.inputs_ = model.inputs(entry), out.outputs_ = model.outputs(entry);
  std::string where = model.path() + ", entry " + model.entry(entry).name + ": ";
  auto isTokens = [](const ValueInfo &value) { return value.role == "token_ids"; };
  auto isLogits = [](const ValueInfo &value) { return value.role == "logits"; };
  auto tokens = std::find_if(out.inputs_.begin(), out.inputs_.end(), isTokens);
  if (tokens == out.inputs_.end() || tokens->dims.size() != 2 || !isInteger(tokens->dtype))
    return Status(MOE_UNSUPPORTED, where + "expected an input of token ids [batch, sequence], found none");
  auto logits = std::find_if(out.outputs_.begin(), out.outputs_.end(), isLogits);
  if (logits == out.outputs_.end() || logits->dims.size() != 3 || !isFloat(logits->dtype))
    return Status(MOE_UNSUPPORTED, where + "expected an output of logits [batch, sequence, vocabulary], found none");
  out.tokens_ = size_t(tokens - out.inputs_.begin()), out.logits_ = size_t(logits - out.outputs_.begin());
  out.maxToken_ = tokens->maxValue;
  out.vocabulary_ = logits->dims[2].extent;
  if (tokens->dims[0].extent > 1)
    return Status(MOE_UNSUPPORTED,
                  where + format("expected a batch that may be 1, found %lld", (long long)tokens->dims[0].extent));
  return Status();
}

Status LanguageModel::run(const std::vector<int64_t> &tokens, const float *&logits, int64_t &vocabulary,
                          bool lastOnly) {
  std::string where = model_->path() + ", entry " + model_->entry(entry_).name + ", input ";
  int64_t length = int64_t(tokens.size());
  const ValueInfo &ids = inputs_[tokens_];
  if (ids.dims[1].extent >= 0 && ids.dims[1].extent != length)
    return Status(MOE_UNSUPPORTED, where + ids.name +
                                       format(": expected sequences of %lld tokens, found %lld",
                                              (long long)ids.dims[1].extent, (long long)length));
  // Extents that the tokens decide. Other named extents (of a cache) are empty: the sequence is computed from its
  // start.
  std::map<std::string, int64_t> named;
  if (ids.dims[1].name)
    named[ids.dims[1].name] = length;
  if (ids.dims[0].name)
    named[ids.dims[0].name] = 1;
  std::vector<Tensor> feeds(inputs_.size());
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const ValueInfo &input = inputs_[i];
    Tensor &feed = feeds[i];
    feed.name = input.name, feed.dtype = input.dtype;
    bool spansTokens = (input.role == "attention_mask" || input.role == "position_ids") && !input.dims.empty();
    for (size_t d = 0; d < input.dims.size(); ++d) {
      const moe_dim_t &dim = input.dims[d];
      if (!dim.name)
        feed.shape.push_back(dim.extent);
      else if (auto found = named.find(dim.name); found != named.end())
        feed.shape.push_back(found->second);
      else
        feed.shape.push_back(named[dim.name] = spansTokens && d + 1 == input.dims.size() ? length
                                               : spansTokens                             ? 1
                                                                                         : 0);
    }
    feed.allocate();
    if (i == tokens_)
      for (size_t k = 0; k < tokens.size(); ++k)
        storeFromDouble(feed.dtype, feed.data(), k, double(tokens[k]));
    else if (input.role == "attention_mask")
      fillConstant(feed, 1);
    else if (input.role == "position_ids")
      fillPositions(feed);
    else if (feed.elements() != 0)
      return Status(MOE_UNSUPPORTED,
                    where + input.name +
                        ": expected token ids, attention_mask, position_ids or an empty cache, found " +
                        describe(feed.dtype, feed.shape));
  }
  std::vector<moe_tensor_t> outputs;
  MOE_RETURN_IF_ERROR(model_->run(entry_, feeds, outputs));
  const moe_tensor_t &out = outputs[logits_];
  if (out.extents[0] != 1 || out.extents[1] != length || out.extents[2] < 1)
    return Status(MOE_UNSUPPORTED, model_->path() + ": expected logits [1, " + std::to_string(length) +
                                       ", vocabulary], found " + describe(out.dtype, {out.extents, out.extents + 3}));
  vocabulary = out.extents[2];
  if (out.dtype == MOE_DTYPE_FLOAT32) {
    logits = static_cast<const float *>(out.data);
    return Status();
  }
  size_t count = size_t(length * vocabulary);
  widened_.resize(count);
  for (size_t k = lastOnly ? count - size_t(vocabulary) : 0; k < count; ++k)
    widened_[k] = float(loadAsDouble(out.dtype, out.data, k));
  logits = widened_.data();
  return Status();
}
} // namespace moe
