// ApiExample.c - the public header is C: this file uses all of it that one run needs.
#include "moe/runtime.h"

// Runs entry main of the artefact at |path| on tokens 1, 2, 3. Returns the first status that is not MOE_OK; |out_first_logit|
// receives the first element of the first output.
moe_status_t run_example(const char *path, float *out_first_logit) {
  moe_artefact_t *artefact = NULL;
  moe_session_t *session = NULL;
  moe_status_t status = moe_artefact_load(path, NULL, &artefact);
  if (status.code == MOE_OK) {
    moe_session_options_t options = {sizeof(options), 0, 0, NULL};
    status = moe_session_create(artefact, &options, &session);
  }
  if (status.code == MOE_OK) {
    int64_t extents[2] = {1, 3}, ids[3] = {1, 2, 3}, mask[3] = {1, 1, 1};
    moe_tensor_t inputs[2] = {{MOE_DTYPE_INT64, 2, extents, ids, sizeof(ids)},
                              {MOE_DTYPE_INT64, 2, extents, mask, sizeof(mask)}};
    moe_tensor_t output = {0};
    moe_run_args_t args = {sizeof(args), 0, 2, inputs, 1, &output};
    status = moe_session_run(session, &args);
    if (status.code == MOE_OK)
      *out_first_logit = *(const float *)output.data;
  }
  moe_session_release(session);
  moe_artefact_release(artefact);
  return status;
}
