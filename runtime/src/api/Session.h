// Session.h - runs entries: checks inputs, keeps plans, owns outputs, hands the work to a device.
#ifndef MOE_API_SESSION_H
#define MOE_API_SESSION_H

#include "base/Device.h"

namespace moe {

class Session {
public:
  static Status create(Artefact *artefact, const moe_session_options_t &options, Session *&out);
  ~Session();

  Status plan(uint32_t entry, const int64_t *extents, size_t numExtents, const Plan *&out);
  Status run(const moe_run_args_t &args);
  /// Fills |request| from |args| and has the device time the entry.
  Status time(const moe_time_args_t &args, TimeRequest &request);

  Artefact &artefact() const { return *artefact_; }
  Device &device() const { return *device_; }

  void retain() { ++count_; }
  void release() {
    if (--count_ == 0)
      delete this;
  }

private:
  Session() = default;
  Status findEntry(uint32_t entry, const Entry *&out) const;
  Status checkFits(const Entry &entry, const Plan &plan) const;
  Status checkInput(const Entry &entry, size_t index, const moe_tensor_t &input) const;
  Status prepareOutput(const Value &value, size_t index, const int64_t *extents, moe_tensor_t &bound, void *&out);
  static void *outputByData(void *self, uint32_t index, const int64_t *extents);
  static size_t outputBytes(void *self, uint32_t index);

  struct Output {
    Block block;
    std::vector<int64_t> extents;
  };
  static constexpr size_t kMaxPlans = 64;

  std::atomic<int> count_{1};
  moe_allocator_t allocator_{};
  Artefact *artefact_ = nullptr;
  std::vector<std::unique_ptr<Plan>> plans_;
  uint64_t clock_ = 0;
  std::vector<Output> outputs_;
  std::unique_ptr<Device> device_;
  // Of the run under way, for outputByData.
  const moe_run_args_t *args_ = nullptr;
  RunRequest *request_ = nullptr;
  Status outputProblem_;
};

} // namespace moe
#endif // MOE_API_SESSION_H
