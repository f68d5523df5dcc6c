// CudaTest.cpp - the device path on a module with PTX written by hand. Without a driver only its refusal is tested; see
// FakeDriverTest.cpp for what needs no device.
#include "FakeArtefact.h"
#include "Test.h"
#include "moe/random_values.h"
#include "moe/runtime.h"

#include <cstring>
#include <string>

using namespace moe;
using namespace moe::cts;

namespace {
const moe_random_t kRandomTable = {0x123456789abcdef0, MOE_RANDOM_NORMAL, 0.5f, 2.0f};
void randomTable(std::string &body) {
  replace(body, "{\"name\": \"table\", \"file\": 0, \"offset\": 128, \"size\": 256}",
          "{\"name\": \"table\", \"size\": 256, \"random\": {\"dtype\": \"float32\", \"distribution\": \"normal\", "
          "\"mean\": 0.5, \"deviation\": 2, \"seed\": \"123456789abcdef0\"}}");
}

struct Fixture {
  moe_artefact_t *artefact = nullptr;
  moe_session_t *session = nullptr;
  moe_status_t status;
  explicit Fixture(int device = 0, const std::function<void(std::string &)> &edit = nullptr) {
    status = moe_artefact_load(writeFakeCudaArtefact(edit).c_str(), nullptr, &artefact);
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

TEST(cuda_replays_what_it_captured) {
  Fixture fixture;
  if (!fixture.session)
    return;
  for (int run = 0; run < 4; ++run) {
    std::vector<int64_t> ids = {run, 3, 7 - run}, mask = {1, 1, run}, shape = {1, 3};
    moe_tensor_t inputs[2] = {{MOE_DTYPE_INT64, 2, shape.data(), ids.data(), 24},
                              {MOE_DTYPE_INT64, 2, shape.data(), mask.data(), 24}};
    moe_tensor_t out{};
    moe_run_args_t args = {sizeof(args), 0, 2, inputs, 1, &out};
    EXPECT_EQ(std::string(moe_session_run(fixture.session, &args).message), "");
    for (int i = 0; i < 3; ++i)
      for (int k = 0; k < 8; ++k)
        EXPECT_EQ(static_cast<float *>(out.data)[i * 8 + k],
                  fakeLogit(int(ids[size_t(i)]), k) * float(mask[size_t(i)]));
  }
}

TEST(cuda_launches_in_clusters_with_tensor_maps) {
  Fixture fixture;
  if (!fixture.session)
    return;
  std::vector<float> x(5 * 64);
  int64_t shape[] = {5, 64};
  moe_tensor_t input = {MOE_DTYPE_FLOAT32, 2, shape, x.data(), x.size() * 4}, out{};
  moe_run_args_t args = {sizeof(args), 2, 1, &input, 1, &out};
  for (int run = 0; run < 3; ++run) {
    moe_status_t status = moe_session_run(fixture.session, &args);
    if (status.code == MOE_DEVICE_ERROR && strstr(status.message, "INVALID"))
      return; // a chip without clusters and tensor maps
    EXPECT_EQ(std::string(status.message), "");
    for (int i = 0; i < 6; ++i)
      EXPECT_EQ(static_cast<int64_t *>(out.data)[i], 5);
  }
}

TEST(cuda_draws_the_values_of_random_weights) {
  Fixture fixture(0, randomTable);
  if (!fixture.session)
    return;
  std::vector<int64_t> ids = {0, 1, 2, 3, 4, 5, 6, 7}, mask(8, 1), shape = {1, 8};
  moe_tensor_t inputs[2] = {{MOE_DTYPE_INT64, 2, shape.data(), ids.data(), 64},
                            {MOE_DTYPE_INT64, 2, shape.data(), mask.data(), 64}};
  moe_tensor_t out{};
  moe_run_args_t args = {sizeof(args), 0, 2, inputs, 1, &out};
  EXPECT_EQ(std::string(moe_session_run(fixture.session, &args).message), "");
  for (uint64_t i = 0; i < 64; ++i)
    EXPECT_EQ(static_cast<float *>(out.data)[i], moe_random_value(&kRandomTable, i));
}

TEST(cuda_times_an_entry) {
  Fixture fixture;
  if (!fixture.session)
    return;
  std::vector<int64_t> ids = {0, 1}, mask(2, 1), shape = {1, 2};
  moe_tensor_t id = {MOE_DTYPE_INT64, 2, shape.data(), ids.data(), 16},
               ones = {MOE_DTYPE_INT64, 2, shape.data(), mask.data(), 16};
  std::vector<moe_tensor_t> sets = {id, ones, id, ones};
  moe_time_args_t args = {sizeof(args), 0, 2, sets.data(), 1, 0.001, 0.001, 0, 0};
  moe_time_result_t result{};
  result.struct_size = sizeof(result);
  EXPECT_EQ(std::string(moe_session_time(fixture.session, &args, &result).message), "");
  EXPECT(result.us_min > 0 && result.us_min <= result.us_median && result.us_median <= result.us_max);
  EXPECT(result.runs >= 8 && result.read_roof > 1e9 && result.copy_roof > 1e9);
  EXPECT_EQ(std::string(result.cold_by), "flush");
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
  moe_session_set_profiler(fixture.session, nullptr, nullptr);
  status = fixture.runPrefix({-1, 7}, out); // ends the context: the last thing to do
  EXPECT_EQ(status.code, MOE_DEVICE_ERROR);
  EXPECT_HAS(status.message, "step 0, moe.copy (/prefix)");
}
