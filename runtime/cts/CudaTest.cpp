// CudaTest.cpp - the device path on a module with PTX written by hand. Without a driver only its refusal is tested.
#include "FakeArtefact.h"
#include "Test.h"
#include "moe/runtime.h"

#include <string>

using namespace moe;
using namespace moe::cts;

namespace {
struct Fixture {
  moe_artefact_t *artefact = nullptr;
  moe_session_t *session = nullptr;
  moe_status_t status;
  explicit Fixture(int device = 0) {
    status = moe_artefact_load(writeFakeCudaArtefact().c_str(), nullptr, &artefact);
    moe_session_options_t options = {sizeof(options), 0, device, nullptr};
    if (status.code == MOE_OK)
      status = moe_session_create(artefact, &options, &session);
  }
  ~Fixture() {
    moe_session_release(session);
    moe_artefact_release(artefact);
  }
  moe_status_t runPrefix(std::vector<float> x, moe_tensor_t &out) {
    int64_t extent = int64_t(x.size());
    moe_tensor_t input = {MOE_DTYPE_FLOAT32, 1, &extent, x.data(), x.size() * 4};
    moe_run_args_t args = {sizeof(args), 1, 1, &input, 1, &out};
    return moe_session_run(session, &args);
  }
};
} // namespace

TEST(cuda_without_a_driver_is_a_clear_refusal) {
  Fixture fixture;
  if (!fixture.session) {
    EXPECT_EQ(fixture.status.code, MOE_UNSUPPORTED);
    EXPECT_HAS(fixture.status.message, "is compiled for cuda: ");
  } else {
    EXPECT_HAS(Fixture(99).status.message, "device: expected a number below");
  }
}

TEST(cuda_runs_entries) {
  Fixture fixture;
  if (!fixture.session)
    return;
  for (int64_t length : {1, 300, 0, 7}) {
    std::vector<int64_t> ids, mask(size_t(2 * length), 1), shape = {2, length};
    for (int64_t i = 0; i < 2 * length; ++i)
      ids.push_back(i * 5 % 8);
    moe_tensor_t inputs[2] = {{MOE_DTYPE_INT64, 2, shape.data(), ids.data(), ids.size() * 8},
                              {MOE_DTYPE_INT64, 2, shape.data(), mask.data(), mask.size() * 8}};
    moe_tensor_t out{};
    moe_run_args_t args = {sizeof(args), 0, 2, inputs, 1, &out};
    EXPECT_EQ(std::string(moe_session_run(fixture.session, &args).message), "");
    bool same = true;
    for (int64_t i = 0; i < 2 * length; ++i)
      for (int k = 0; k < 8; ++k)
        same &= static_cast<float *>(out.data)[i * 8 + k] == fakeLogit(int(ids[size_t(i)]), k);
    EXPECT(same);
  }
}

TEST(cuda_reads_counts_and_names_failing_steps) {
  Fixture fixture;
  if (!fixture.session)
    return;
  int events = 0;
  moe_session_set_profiler(
      fixture.session, [](void *self, const moe_step_event_t *) { ++*static_cast<int *>(self); }, &events);
  moe_tensor_t out{};
  EXPECT_EQ(std::string(fixture.runPrefix({2, 7, 8}, out).message), "");
  EXPECT_EQ(events, 1);
  EXPECT_EQ(out.extents[0], 2);
  EXPECT_EQ(static_cast<float *>(out.data)[1], 7.0f);
  out = {};
  moe_status_t status = fixture.runPrefix({-2, 7}, out);
  EXPECT_EQ(status.code, MOE_OUT_OF_MEMORY);
  EXPECT_HAS(status.message, "1125899906842624 bytes for a buffer whose size depends on data, with ");
  EXPECT_EQ(std::string(fixture.runPrefix({1, 7}, out).message), "");
  out = {};
  status = fixture.runPrefix({-1, 7}, out); // ends the context: the last thing to do
  EXPECT_EQ(status.code, MOE_DEVICE_ERROR);
  EXPECT_HAS(status.message, "step 0, moe.copy (/prefix)");
}
