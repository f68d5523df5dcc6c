// TokenizerTest.cpp - the tokenizer against what the `tokenizers` package made (data/tokenizers.json,
// tools/dev/gen-tokenizer-cases), regular expressions, streaming of incomplete characters, refusals.
#include "Tokenizer.h"
#include "Test.h"
#include "Unicode.h"
#include "base/File.h"

#include <cstdlib>

using namespace moe;
using namespace moe::cts;

static std::string serialize(const Json &json) { // for handing one member on to Tokenizer::parse
  JsonWriter writer;
  struct Walk {
    JsonWriter &w;
    void go(const Json &j) {
      switch (j.kind()) {
      case Json::Null:
        w.null();
        break;
      case Json::Bool:
        w.value(j.boolean());
        break;
      case Json::Integer:
        w.value(j.integer());
        break;
      case Json::Number:
        w.value(j.number());
        break;
      case Json::String:
        w.value(j.string());
        break;
      case Json::Array:
        w.beginArray();
        for (const Json &item : j.array())
          go(item);
        w.endArray();
        break;
      case Json::Object:
        w.beginObject();
        for (const auto &member : j.object())
          w.key(member.first), go(member.second);
        w.endObject();
        break;
      }
    }
  };
  Walk{writer}.go(json);
  return writer.text();
}

TEST(tokens_are_those_of_the_tokenizers_package) {
  const char *given = getenv("MOE_TOKENIZER_CASES");
  std::string text;
  Json root;
  EXPECT_OK(readFile(given ? given : MOE_CTS_DATA "/tokenizers.json", text));
  EXPECT_OK(Json::parse(text, root));
  EXPECT(root.array().size() >= 10);
  for (const Json &one : root.array()) {
    Tokenizer tokenizer;
    std::string name = one.find("name")->string();
    EXPECT_OK(Tokenizer::parse(name, serialize(*one.find("tokenizer")), tokenizer));
    for (const Json &c : one.find("cases")->array()) {
      std::vector<int64_t> ids;
      for (const Json &id : c.find("ids")->array())
        ids.push_back(id.integer());
      if (const Json *source = c.find("text"))
        if (std::vector<int64_t> found; !tokenizer.encode(source->string(), found).ok() || found != ids)
          fail(__FILE__, __LINE__,
               name + ": " + show(source->string()) + ": expected " + show(ids) + ", found " + show(found));
      if (std::string found = tokenizer.decode(ids); found != c.find("decoded")->string())
        fail(__FILE__, __LINE__,
             name + ": decode " + show(ids) + ": expected " + show(c.find("decoded")->string()) + ", found " +
                 show(found));
    }
  }
}

TEST(a_stream_holds_characters_back_until_they_are_complete) {
  Tokenizer tokenizer;
  EXPECT_OK(Tokenizer::parse(
      "t", R"({"model": {"type": "BPE", "vocab": {"ð": 0, "Ł": 1, "ĺ": 2, "Ģ": 3, "a": 4, "Ã": 5}, "merges": []},
                                      "pre_tokenizer": {"type": "ByteLevel"}, "added_tokens": [{"id": 9, "content": "<s>", "special": true}]})",
      tokenizer));
  TokenStream stream(tokenizer);
  EXPECT_EQ(stream.add(0) + "|" + stream.add(1) + "|" + stream.add(2) + "|" + stream.add(3), "|||\xf0\x9f\x98\x80");
  EXPECT_EQ(stream.add(5) + "|" + stream.add(9) + "|" + stream.add(4), "||\xef\xbf\xbd"
                                                                       "a");
  EXPECT_EQ(stream.add(77), "");
  EXPECT_EQ(stream.add(0) + stream.finish(), "\xef\xbf\xbd");
}

TEST(tokenizers_that_are_not_byte_level_are_refused) {
  auto refuse = [](const char *json, const char *message) {
    Tokenizer tokenizer;
    Status status = Tokenizer::parse("t.json", json, tokenizer);
    EXPECT(!status.ok());
    EXPECT_HAS(status.message(), message);
  };
  refuse("{", "t.json: line 1");
  refuse("[]", "t.json: expected an object, found an array of 0");
  refuse(R"({"model": {"type": "Unigram"}})", "model.type: expected \"BPE\", found \"Unigram\"");
  refuse(R"({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}})",
         "id of \"a\": expected a whole number from 0 to 4194303, found -1");
  // A list of names by id would take gigabytes.
  refuse(R"({"model": {"type": "BPE", "vocab": {"a": 268435455}, "merges": []}})", "found 268435455");
  refuse(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}})", "model.merges[0]");
  refuse(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})", "expected byte-level BPE");
  refuse(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "byte_fallback": true}})",
         "model.byte_fallback");
  refuse(R"({"model": {"vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "Metaspace"}})",
         "pre_tokenizer.type: expected ByteLevel");
  refuse(R"({"model": {"vocab": {"a": 0}, "merges": []}, "normalizer": {"type": "Lowercase"}})",
         "normalizer.type: expected NFC or none");
  refuse(
      R"({"model": {"vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(?<=a)b"}, "behavior": "Isolated"}})",
      "pre_tokenizer: regular expression \"(?<=a)b\"");
  refuse(
      R"({"model": {"vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel"}, "post_processor": {"type": "BertProcessing"}})",
      "post_processor.type");
}

TEST(regular_expressions_match_like_everyone_elses) {
  auto find = [](const char *pattern, const char *text) -> std::string {
    Regex regex;
    if (Status status = Regex::compile(pattern, regex); !status.ok())
      return status.message();
    std::u32string wide = fromUtf8(text);
    std::string out;
    size_t begin, end;
    bool found = true;
    for (size_t at = 0; found; at = end) {
      if (Status status = regex.find(wide, at, found, begin, end); !status.ok())
        return status.message();
      if (found)
        out += "[" + toUtf8(std::u32string_view(wide).substr(begin, end - begin)) + "]";
    }
    return out;
  };
  EXPECT_EQ(find("a|ab|abc", "abcab"), "[a][a]");
  EXPECT_EQ(find("(?:a|ab)(?:c|bcd)", "abcd"), "[abcd]");
  EXPECT_EQ(find("a{2,3}", "aaaaaaa"), "[aaa][aaa]");
  EXPECT_EQ(find("a{2}?b|a+?b", "aab"), "[aab]");
  EXPECT_EQ(find("a*+a", "aaa"), "");
  EXPECT_EQ(find("(?>a|ab)c", "abc"), "");
  EXPECT_EQ(find("x+(?=y)", "xxyxx"), "[xx]");
  EXPECT_EQ(find("\\s+(?!\\S)|\\s+", "a   b "), "[  ][ ][ ]");
  EXPECT_EQ(find("[^\\]a-c\\d-]+", "d]e-f1g"), "[d][e][f][g]");
  EXPECT_EQ(find("[]a]+", "]a"), "[]a]");
  EXPECT_EQ(find("(?i:k[B])x", "KBx \xe2\x84\xaa"
                               "bx kbX"),
            "[KBx][\xe2\x84\xaa"
            "bx]");
  EXPECT_EQ(find("^a|b$", "aab"), "[a][b]");
  EXPECT_EQ(find("(ab)+c|(?:x?y){2,}", "ababc yxyxyz"), "[ababc][yxyxy]");
  EXPECT_EQ(find("\\x41\\u00e9\\x{1F600}", "A\xc3\xa9\xf0\x9f\x98\x80"), "[A\xc3\xa9\xf0\x9f\x98\x80]");
  EXPECT_EQ(find("\\P{L}+|\\pL", "a1 b"), "[a][1 ][b]");
  EXPECT_HAS(find("(a", "a"), "expected ')'");
  EXPECT_HAS(find("a)", "a"), "')' without '('");
  EXPECT_HAS(find("*a", "a"), "nothing stands before the repetition");
  EXPECT_HAS(find("(a?)*", "a"), "can be empty");
  EXPECT_HAS(find("[a&&b]", "a"), "nested classes");
  EXPECT_HAS(find("\\p{Greek}", "a"), "is not a general category");
  EXPECT_HAS(find("\\1", "a"), "not supported");
  EXPECT_HAS(find("[b-a]", "a"), "from a lower to a higher");
  EXPECT_HAS(find("a{2}{3}", "a"), "a repetition of a repetition");
  EXPECT_HAS(find("(?:a+)+b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "tries too many ways on 40 characters");
  std::string longText(200000, 'a');
  EXPECT_EQ(find("\\s*b|a+", longText.c_str()).size(), longText.size() + 2);
}
