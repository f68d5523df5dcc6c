// TokenFile.h - flat files of token ids.
#ifndef MOE_RUN_TOKENFILE_H
#define MOE_RUN_TOKENFILE_H

#include "base/Status.h"

#include <vector>

namespace moe {

/// Reads little-endian unsigned integers; the ending .u8, .u16 or .u32 gives their width.
Status readTokenFile(const std::string &path, std::vector<int64_t> &out);

/// Every token is at most |most| (-1: no limit); |where| names the source in the message.
Status checkTokens(const std::string &where, const std::vector<int64_t> &tokens, int64_t most);

} // namespace moe
#endif // MOE_RUN_TOKENFILE_H
