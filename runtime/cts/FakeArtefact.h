// FakeArtefact.h - writes an artefact around FakeModule.c's code.so, correct unless a test changes it.
#ifndef MOE_CTS_FAKEARTEFACT_H
#define MOE_CTS_FAKEARTEFACT_H

#include <functional>
#include <string>

namespace moe::cts {

/// The manifest's text without its own checksum, and a way to seal it.
std::string fakeManifestBody(const std::string &folder);
std::string seal(const std::string &body);

/// Writes an artefact into |folder|, or one of its own, and returns its path. |edit| may change the manifest's body
/// before it is sealed.
std::string writeFakeArtefact(const std::function<void(std::string &)> &edit = nullptr, std::string folder = "");

/// The same around FakeCudaModule.c's code.so.
std::string writeFakeCudaArtefact(const std::function<void(std::string &)> &edit = nullptr, std::string folder = "");

/// The folder of this program, with a slash behind it.
std::string programFolder();

/// The logits row of token |id|: table[id][k] = (id * 8 + k) % 5 + (k == (id + 1) % 8 ? 10 : 0): the next token is id
/// + 1.
float fakeLogit(int id, int k);

/// Replaces the first |from| in |text|; the test fails if there is none.
void replace(std::string &text, const std::string &from, const std::string &to);

} // namespace moe::cts
#endif // MOE_CTS_FAKEARTEFACT_H
