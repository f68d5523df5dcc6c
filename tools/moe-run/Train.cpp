// Train.cpp - moe-run train: place kept. Artefacts have no training entry yet, and that is what it says.
#include "Commands.h"
#include "Model.h"

namespace moe {
namespace {
Status runTrain(const Options &options, int &) {
  Model model;
  MOE_RETURN_IF_ERROR(model.loadArtefact(options.arguments()[0]));
  uint32_t entry;
  if (moe_artefact_find_entry(model.artefact(), "train_step", &entry).code != MOE_OK)
    return Status(MOE_UNSUPPORTED,
                  options.arguments()[0] +
                      ": expected an entry train_step, found none: the artefact was not compiled for training");
  return Status(MOE_UNSUPPORTED, options.arguments()[0] + ": this version of moe-run cannot train");
}
} // namespace

Command trainCommand() {
  return {{"train",
           "MODEL.moe --data FILE --sequence T --batch B --steps N --checkpoint DIR",
           "Trains a model. Needs an artefact with a training entry (train_step).",
           {{"data", "FILE", "tokens, .u8 .u16 .u32 (required)"},
            {"sequence", "T", "tokens in a sample (required)"},
            {"batch", "B", "samples in a step (required)"},
            {"steps", "N", "optimiser steps (required)"},
            {"accumulate", "N", "batches summed in one step (default: 1)"},
            {"stride", "S", "tokens from one sample's start to the next one's (default: T)"},
            {"order", "ORDER", "shuffled or sequential (default: shuffled)"},
            {"seed", "N", "seed of the order (default: 0)"},
            {"checkpoint", "DIR", "folder of the checkpoints (required)"},
            {"resume", "", "go on from the last checkpoint"},
            {"export", "FILE", "write the trained weights as safetensors"},
            {"lr", "X", "learning rate (default: 1e-3)"},
            {"betas", "A,B", "AdamW's decay rates (default: 0.9,0.999)"},
            {"eps", "X", "AdamW's epsilon (default: 1e-8)"},
            {"weight-decay", "X", "decoupled weight decay (default: 0.01)"},
            {"warmup", "N", "steps until the full learning rate (default: 0)"},
            {"schedule", "NAME", "learning-rate schedule (default: constant)"},
            {"clip", "X", "largest gradient norm (default: none)"},
            {"mtp-weight", "X", "weight of the multi-token loss (default: 0.3)"},
            {"balance-weight", "X", "weight of the balance loss (default: 1e-4)"},
            {"bias-update-rate", "X", "step of the routers' selection bias (default: 0)"},
            {"on-nan", "ACTION", "skip or stop (default: stop)"},
            {"dump-gradients", "FILE", "write the first step's gradients as safetensors"}},
           1,
           1},
          runTrain};
}
} // namespace moe
