// Commands.h - the subcommands. Each has its table of options and a function that returns the exit code or an error
// (exit 2).
#ifndef MOE_RUN_COMMANDS_H
#define MOE_RUN_COMMANDS_H

#include "Options.h"

namespace moe {

struct Command {
  CommandSpec spec;
  Status (*run)(const Options &options, int &exitCode);
};

Command checkCommand();
Command inferCommand();
Command generateCommand();
Command evalCommand();
Command benchCommand();
Command trainCommand();

} // namespace moe
#endif // MOE_RUN_COMMANDS_H
