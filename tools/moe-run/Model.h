// Model.h - an artefact and its session for the subcommands, and feeds built from the inputs' roles.
#ifndef MOE_RUN_MODEL_H
#define MOE_RUN_MODEL_H

#include "Options.h"
#include "Tensor.h"

namespace moe {

inline Status toStatus(moe_status_t status) {
  return status.code == MOE_OK ? Status() : Status(status.code, status.message);
}

struct ValueInfo {
  std::string name, role;
  moe_dtype_t dtype;
  std::vector<moe_dim_t> dims;
  int64_t maxValue;
};

class Model {
public:
  Model() = default;
  Model(const Model &) = delete;
  ~Model();
  /// Loads the artefact and creates a session with --threads and --device.
  Status load(const std::string &path, const Options &options);
  Status loadArtefact(const std::string &path);
  Status createSession(const Options &options);

  moe_artefact_t *artefact() const { return artefact_; }
  moe_session_t *session() const { return session_; }
  const moe_artefact_info_t &info() const { return info_; }
  const std::string &path() const { return path_; }

  uint32_t numEntries() const { return info_.num_entries; }
  moe_entry_info_t entry(uint32_t entry) const;
  /// Where the manifest does not limit token ids, the logits' vocabulary does.
  std::vector<ValueInfo> inputs(uint32_t entry) const;
  std::vector<ValueInfo> outputs(uint32_t entry) const { return values(entry, false); }

  /// Runs an entry. The outputs' data belong to the session until its next run.
  Status run(uint32_t entry, const std::vector<Tensor> &inputs, std::vector<moe_tensor_t> &outputs);

private:
  std::vector<ValueInfo> values(uint32_t entry, bool inputs) const;
  std::string path_;
  moe_artefact_t *artefact_ = nullptr;
  moe_session_t *session_ = nullptr;
  moe_artefact_info_t info_{};
};

/// A language model's entry: which input takes token ids, what the others get, which output is the logits.
class LanguageModel {
public:
  /// Looks at entry |entry| of |model|; fails with the reason if tokens in and logits out cannot be found or an input
  /// has no known use.
  static Status open(Model &model, uint32_t entry, LanguageModel &out);

  /// Largest token id the model takes, or -1.
  int64_t maxToken() const { return maxToken_; }
  int64_t vocabulary() const { return vocabulary_; } // -1 where the manifest does not say

  /// Runs one sequence from its start. |logits| is [tokens.size(), vocabulary] floats and valid until the next call;
  /// with |lastOnly| only the last row is filled in (the others have no meaning).
  Status run(const std::vector<int64_t> &tokens, const float *&logits, int64_t &vocabulary, bool lastOnly = false);

private:
  Model *model_ = nullptr;
  uint32_t entry_ = 0;
  std::vector<ValueInfo> inputs_, outputs_;
  size_t tokens_ = 0, logits_ = 0;
  int64_t maxToken_ = -1, vocabulary_ = -1;
  std::vector<float> widened_;
};

/// Fills an integer or bool tensor with one value, or with 0, 1, 2, ... along the last dim.
void fillConstant(Tensor &tensor, double value);
void fillPositions(Tensor &tensor);

} // namespace moe
#endif // MOE_RUN_MODEL_H
