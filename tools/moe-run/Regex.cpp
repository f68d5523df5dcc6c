// Regex.cpp - see Regex.h. The pattern becomes a small program; one-character repetitions are single instructions, so
// that the stack holds one entry for each and long runs of text cost no depth.
#include "Regex.h"
#include "Unicode.h"

#include <algorithm>

namespace moe {

class RegexParser {
public:
  RegexParser(std::u32string pattern, Regex &out) : text(std::move(pattern)), out(out) {}

  Status parse() {
    Node node = alternatives();
    if (problem.empty() && at != text.size())
      fail("')' without '('");
    emit(node);
    add({Regex::Accept});
    return problem.empty() ? Status() : Status(MOE_UNSUPPORTED, format("column %zu: %s", at + 1, problem.c_str()));
  }

private:
  struct Node {
    enum Kind { Empty, Single, Sequence, Choice, Loop, LookAhead, AtomicGroup, LineBegin, LineEnd } kind = Empty;
    uint32_t set = 0, least = 0, most = 0;
    bool greedy = true, possessive = false, negated = false;
    std::vector<Node> children;
  };
  static constexpr uint32_t kUnlimited = UINT32_MAX;

  Node fail(const std::string &what) {
    if (problem.empty())
      problem = what;
    return Node();
  }
  bool more() const { return problem.empty() && at < text.size(); }
  bool take(std::u32string_view word) {
    if (std::u32string_view(text).substr(at, word.size()) != word)
      return false;
    at += word.size();
    return true;
  }

  Node alternatives() {
    if (++depth > 50)
      return fail("groups are nested too deeply");
    Node choice;
    choice.kind = Node::Choice;
    do {
      Node sequence;
      sequence.kind = Node::Sequence;
      while (more() && text[at] != U'|' && text[at] != U')')
        sequence.children.push_back(repetition());
      choice.children.push_back(std::move(sequence));
    } while (problem.empty() && take(U"|"));
    --depth;
    if (choice.children.size() == 1)
      return std::move(choice.children[0]);
    return choice;
  }

  Node repetition() {
    Node node = atom();
    while (more()) {
      uint32_t least = 0, most = kUnlimited;
      size_t before = at;
      if (take(U"*")) {
      } else if (take(U"+")) {
        least = 1;
      } else if (take(U"?")) {
        most = 1;
      } else if (take(U"{")) {
        if (!bounds(least, most)) {
          at = before;
          return fail("expected {n}, {n,} or {n,m}");
        }
      } else {
        break;
      }
      Node loop;
      loop.kind = Node::Loop, loop.least = least, loop.most = most;
      if (take(U"?"))
        loop.greedy = false;
      else if (take(U"+"))
        loop.possessive = true;
      // In a chain of them the ways to match double with each; some dialects read one as possessive.
      if (node.kind == Node::Loop)
        return fail("a repetition of a repetition is not supported");
      if (minLength(node) == 0 && most == kUnlimited)
        return fail("a repeated part that can be empty is not supported");
      loop.children.push_back(std::move(node));
      node = std::move(loop);
    }
    return node;
  }

  bool number(uint32_t &out) {
    size_t first = at;
    for (out = 0; at < text.size() && text[at] >= U'0' && text[at] <= U'9' && out < 10000; ++at)
      out = out * 10 + (text[at] - U'0');
    return at != first && out <= 1000;
  }
  bool bounds(uint32_t &least, uint32_t &most) {
    bool lower = number(least);
    if (!lower)
      least = 0;
    most = least;
    if (take(U",") && !number(most))
      most = kUnlimited;
    return take(U"}") && most >= least && (lower || most != kUnlimited);
  }

  static uint64_t minLength(const Node &node) {
    uint64_t length = 0;
    switch (node.kind) {
    case Node::Single:
      return 1;
    case Node::Sequence:
      for (const Node &child : node.children)
        length += minLength(child);
      return length;
    case Node::Choice:
      length = UINT64_MAX;
      for (const Node &child : node.children)
        length = std::min(length, minLength(child));
      return length;
    case Node::Loop:
      return node.least * minLength(node.children[0]);
    case Node::AtomicGroup:
      return minLength(node.children[0]);
    default:
      return 0;
    }
  }

  Node single(Regex::Set set) {
    set.ignoreCase = ignoreCase;
    out.sets_.push_back(std::move(set));
    Node node;
    node.kind = Node::Single, node.set = uint32_t(out.sets_.size() - 1);
    return node;
  }
  static Regex::Item range(uint32_t low, uint32_t high) {
    Regex::Item item;
    item.low = low, item.high = high;
    return item;
  }

  Node atom() {
    char32_t c = text[at];
    if (take(U"(")) {
      bool before = ignoreCase;
      Node node;
      node.kind = Node::Sequence;
      if (take(U"?=") || take(U"?!")) {
        node.kind = Node::LookAhead, node.negated = text[at - 1] == U'!';
      } else if (take(U"?>")) {
        node.kind = Node::AtomicGroup;
      } else if (take(U"?i:")) {
        ignoreCase = true;
      } else if (take(U"?i)")) {
        ignoreCase = true; // until the end of the group around it
        return node;
      } else if (!take(U"?:") && at < text.size() && text[at] == U'?') {
        return fail("this kind of group is not supported");
      }
      node.children.push_back(alternatives());
      ignoreCase = before;
      return take(U")") || !problem.empty() ? node : fail("expected ')'");
    }
    if (c == U'[')
      return single(charClass());
    Regex::Set set;
    Node node;
    if (c == U'\\') {
      set.items.push_back(escape());
      return single(set);
    }
    ++at;
    if (c == U'.') {
      set.items.push_back(range('\n', '\n'));
      set.negated = true;
      return single(set);
    }
    if (c == U'^' || c == U'$') {
      node.kind = c == U'^' ? Node::LineBegin : Node::LineEnd;
      return node;
    }
    if (c == U'*' || c == U'+' || c == U'?' || c == U'{')
      return fail("nothing stands before the repetition");
    set.items.push_back(range(c, c));
    return single(set);
  }

  /// Behind a backslash: a class or a literal.
  Regex::Item escape() {
    ++at;
    if (at >= text.size()) {
      fail("expected something behind '\\'");
      return {};
    }
    char32_t c = text[at++];
    Regex::Item item;
    switch (c) {
    case U'n':
      return range('\n', '\n');
    case U'r':
      return range('\r', '\r');
    case U't':
      return range('\t', '\t');
    case U'f':
      return range('\f', '\f');
    case U'v':
      return range('\v', '\v');
    case U's':
      item.space = true;
      return item;
    case U'S':
      item.space = item.negated = true;
      return item;
    case U'd':
      item.categories = categoryMask("Nd");
      return item;
    case U'D':
      item.categories = categoryMask("Nd"), item.negated = true;
      return item;
    case U'w':
    case U'W':
      item.categories = categoryMask("L") | categoryMask("M") | categoryMask("Nd") | categoryMask("Pc");
      item.negated = c == U'W';
      return item;
    case U'p':
    case U'P': {
      std::string name;
      if (take(U"{")) {
        while (at < text.size() && text[at] != U'}')
          name += char(text[at++]);
        take(U"}");
      } else if (at < text.size()) {
        name += char(text[at++]);
      }
      item.negated = c == U'P';
      if (!name.empty() && name[0] == '^')
        item.negated = !item.negated, name.erase(0, 1);
      item.categories = categoryMask(name);
      if (!item.categories)
        fail("\\p{" + name + "} is not a general category");
      return item;
    }
    case U'x':
    case U'u': {
      uint32_t code = 0;
      bool braces = take(U"{");
      for (int digits = 0; at < text.size() && digits < (braces ? 6 : c == U'x' ? 2 : 4); ++digits, ++at) {
        char32_t h = text[at];
        int digit = h >= U'0' && h <= U'9'                 ? int(h - U'0')
                    : (h | 32) >= U'a' && (h | 32) <= U'f' ? int((h | 32) - U'a') + 10
                                                           : -1;
        if (digit < 0)
          break;
        code = code * 16 + uint32_t(digit);
      }
      if (braces && !take(U"}"))
        fail("expected '}'");
      return range(code, code);
    }
    default:
      if ((c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') || (c >= U'0' && c <= U'9'))
        fail(std::string("\\") + char(c) + " is not supported");
      return range(c, c);
    }
  }

  Regex::Set charClass() {
    Regex::Set set;
    ++at;
    set.negated = take(U"^");
    bool first = true;
    while (more() && (text[at] != U']' || first)) {
      first = false;
      if (text[at] == U'[' || (text[at] == U'&' && at + 1 < text.size() && text[at + 1] == U'&')) {
        fail("nested classes are not supported");
        break;
      }
      Regex::Item item = classAtom();
      if (item.low == item.high && at + 1 < text.size() && text[at] == U'-' && text[at + 1] != U']') {
        ++at;
        Regex::Item end = classAtom();
        if (end.low != end.high || end.low < item.low)
          fail("expected a range from a lower to a higher character");
        item.high = end.high;
      }
      set.items.push_back(item);
    }
    if (problem.empty() && !take(U"]"))
      fail("expected ']'");
    return set;
  }
  Regex::Item classAtom() {
    if (text[at] == U'\\')
      return escape();
    char32_t c = text[at++];
    return range(c, c);
  }

  uint32_t add(Regex::Instruction instruction) {
    if (out.program_.size() > 20000)
      fail("the pattern is too large");
    else
      out.program_.push_back(instruction);
    return uint32_t(out.program_.size() - 1);
  }

  void emit(const Node &node) {
    if (!problem.empty())
      return;
    switch (node.kind) {
    case Node::Empty:
      return;
    case Node::LineBegin:
      add({Regex::Begin});
      return;
    case Node::LineEnd:
      add({Regex::End});
      return;
    case Node::Single:
      add({Regex::One, false, false, node.set});
      return;
    case Node::Sequence:
      for (const Node &child : node.children)
        emit(child);
      return;
    case Node::LookAhead:
    case Node::AtomicGroup: {
      uint32_t start = add({node.kind == Node::LookAhead ? Regex::Look : Regex::Atomic, node.negated});
      emit(node.children[0]);
      add({Regex::Accept});
      out.program_[start].a = uint32_t(out.program_.size());
      return;
    }
    case Node::Choice: {
      std::vector<uint32_t> jumps;
      for (size_t i = 0; i < node.children.size(); ++i) {
        bool last = i + 1 == node.children.size();
        uint32_t split = last ? 0 : add({Regex::Split});
        emit(node.children[i]);
        if (last)
          break;
        jumps.push_back(add({Regex::Jump}));
        out.program_[split].a = split + 1, out.program_[split].b = uint32_t(out.program_.size());
      }
      for (uint32_t jump : jumps)
        out.program_[jump].a = uint32_t(out.program_.size());
      return;
    }
    case Node::Loop:
      emitLoop(node);
      return;
    }
  }

  void emitLoop(const Node &node) {
    const Node &body = node.children[0];
    if (body.kind == Node::Single) {
      add({Regex::Repeat, node.greedy, node.possessive, body.set, node.least, node.most});
      return;
    }
    uint32_t atomic = node.possessive ? add({Regex::Atomic}) : 0;
    for (uint32_t i = 0; i < node.least; ++i)
      emit(body);
    auto split = [&](uint32_t inside, uint32_t outside, uint32_t at) {
      out.program_[at].a = node.greedy ? inside : outside, out.program_[at].b = node.greedy ? outside : inside;
    };
    if (node.most == kUnlimited) {
      uint32_t start = add({Regex::Split});
      emit(body);
      add({Regex::Jump, false, false, 0, start});
      split(start + 1, uint32_t(out.program_.size()), start);
    } else {
      std::vector<uint32_t> splits;
      for (uint32_t i = node.least; i < node.most; ++i) {
        splits.push_back(add({Regex::Split}));
        emit(body);
      }
      for (uint32_t start : splits)
        split(start + 1, uint32_t(out.program_.size()), start);
    }
    if (node.possessive) {
      add({Regex::Accept});
      out.program_[atomic].a = uint32_t(out.program_.size());
    }
  }

  std::u32string text;
  Regex &out;
  size_t at = 0;
  int depth = 0;
  bool ignoreCase = false;
  std::string problem;
};

Status Regex::compile(std::string_view pattern, Regex &out) {
  out = Regex();
  Status status = RegexParser(fromUtf8(pattern), out).parse();
  if (!status.ok())
    return Status(status.code(), "regular expression \"" + std::string(pattern) + "\": " + status.message());
  return Status();
}

bool Regex::matches(const Set &set, uint32_t code) const {
  auto inItems = [&](uint32_t c) {
    for (const Item &item : set.items) {
      bool in = (c >= item.low && c <= item.high) || (item.categories && item.categories >> categoryOf(c) & 1) ||
                (item.space && isSpace(c));
      if (in != item.negated)
        return true;
    }
    return false;
  };
  bool in = inItems(code);
  if (!in && set.ignoreCase) {
    if (code == 0x17f || code == 0x212a) // long s, kelvin sign
      in = inItems(code == 0x17f ? 's' : 'k') || inItems(code == 0x17f ? 'S' : 'K');
    else if ((code | 32) >= 'a' && (code | 32) <= 'z' && code < 128)
      in = inItems(code ^ 32) || ((code | 32) == 's' && inItems(0x17f)) || ((code | 32) == 'k' && inItems(0x212a));
  }
  return in != set.negated;
}

bool Regex::run(std::u32string_view text, size_t pc, size_t &at, int64_t &budget) const {
  struct Choice {
    size_t pc, at, limit; // may be taken at |at|, and then at one less (greedy) or one more (lazy) until |limit|
    int step;
    uint32_t set;
  };
  std::vector<Choice> choices;
  while (true) {
    if (--budget < 0)
      return false;
    const Instruction &i = program_[pc];
    bool good = true;
    switch (i.op) {
    case Accept:
      return true;
    case One:
      good = at < text.size() && matches(sets_[i.set], text[at]), ++at, ++pc;
      break;
    case Begin:
      good = at == 0, ++pc;
      break;
    case End:
      good = at == text.size(), ++pc;
      break;
    case Jump:
      pc = i.a;
      break;
    case Split:
      choices.push_back({i.b, at, at, 0, 0}), pc = i.a;
      break;
    case Look: {
      size_t end = at;
      good = run(text, pc + 1, end, budget) != i.flag, pc = i.a;
      break;
    }
    case Atomic:
      good = run(text, pc + 1, at, budget), pc = i.a;
      break;
    case Repeat: {
      const Set &set = sets_[i.set];
      size_t most = i.b == UINT32_MAX ? text.size() : std::min(text.size(), at + i.b), end = at, before = at;
      if (i.flag) {
        while (end < most && matches(set, text[end]))
          ++end;
        good = end - at >= i.a;
        if (good && !i.possessive && end > at + i.a)
          choices.push_back({pc + 1, end - 1, at + i.a, -1, 0});
        at = end;
      } else {
        while (end < at + i.a && end < text.size() && matches(set, text[end]))
          ++end;
        good = end - at >= i.a;
        if (good && end < most)
          choices.push_back({pc + 1, end, most, 1, i.set});
        at = end;
      }
      budget -= int64_t(end - before);
      ++pc;
      break;
    }
    }
    while (!good) { // back to the last choice
      if (choices.empty())
        return false;
      Choice &last = choices.back();
      pc = last.pc, good = true;
      if (last.step == 1) { // lazy: one character more
        good = matches(sets_[last.set], text[last.at]);
        at = ++last.at;
        if (!good || last.at == last.limit)
          choices.pop_back();
      } else {
        at = last.at;
        if (last.step == 0 || last.at == last.limit)
          choices.pop_back();
        else
          --last.at;
      }
    }
  }
}

Status Regex::find(std::u32string_view text, size_t from, bool &found, size_t &begin, size_t &end) const {
  int64_t budget = 1000000 + 100 * int64_t(text.size());
  found = false;
  for (begin = from; begin < text.size() && !found; begin += !found) {
    end = begin;
    found = run(text, 0, end, budget) && end > begin;
    if (budget < 0)
      return Status(MOE_OUT_OF_RANGE, format("expected a pattern that matches in time linear in the text, but one "
                                             "tries too many ways on %zu characters",
                                             text.size()));
  }
  return Status();
}
} // namespace moe
