#ifndef MOE_RAISE_PASSES_TD
#define MOE_RAISE_PASSES_TD
include "mlir/Pass/PassBase.td"
#endif // MOE_RAISE_PASSES_TD
