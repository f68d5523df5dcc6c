// Regex.h - the regular expressions that tokenizers split text with: a backtracking matcher over code points.
//
// Alternatives, groups, (?:) (?i:) (?=) (?!), classes with ranges, \p{..} \s \d \w and their complements, ? * + {n,m}
// greedy, lazy and possessive, ^ $. What it does not know is an error when the pattern is read, never a wrong split.
#ifndef MOE_RUN_REGEX_H
#define MOE_RUN_REGEX_H

#include "base/Status.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace moe {

class Regex {
public:
  static Status compile(std::string_view pattern, Regex &out);
  /// The first match in |text| at or behind |from| that is not empty; |found| is false if there is none. MOE_OUT_OF_RANGE
  /// if the pattern backtracks too much on this text: some patterns take exponential time.
  Status find(std::u32string_view text, size_t from, bool &found, size_t &begin, size_t &end) const;

private:
  friend class RegexParser;
  struct Item { // part of a class
    uint32_t low = 1, high = 0, categories = 0;
    bool space = false, negated = false;
  };
  struct Set {
    std::vector<Item> items;
    bool negated = false, ignoreCase = false;
  };
  enum Op : uint8_t { One, Repeat, Split, Jump, Look, Atomic, Begin, End, Accept };
  struct Instruction {
    Op op;
    bool flag = false;       // Repeat: greedy; Look: negated
    bool possessive = false; // Repeat
    uint32_t set = 0;        // One, Repeat
    uint32_t
        a = 0,
        b = 0; // Split: first and second choice; Jump: a; Look, Atomic: the body is [pc + 1, a); Repeat: least and most
  };
  bool matches(const Set &set, uint32_t code) const;
  /// Runs from |pc| at |at|; on success |at| is the end of the match. |budget| is what is left of the work allowed.
  bool run(std::u32string_view text, size_t pc, size_t &at, int64_t &budget) const;

  std::vector<Set> sets_;
  std::vector<Instruction> program_;
};

} // namespace moe
#endif // MOE_RUN_REGEX_H
