#include "pyframes/runtime_places.h"

#include <gtest/gtest.h>

#include <map>
#include <string_view>

#include "tests/support/fake_memory.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Symbol;
using tests::FakeMemory;

std::vector<std::optional<Symbol>> found(const std::map<std::string_view, Symbol>& symbols) {
  std::vector<std::optional<Symbol>> all;
  for (const std::string_view name : runtime_variable_names()) {
    const auto known = symbols.find(name);
    all.push_back(known == symbols.end() ? std::nullopt : std::optional(known->second));
  }
  return all;
}

std::map<std::string_view, Symbol> all_symbols() {
  return {{"interp_head", {Address(0x50000), 8}},  {"_Py_Finalizing", {Address(0x48000), 8}},
          {"main_thread", {Address(0x48100), 8}},  {"collecting", {Address(0x52000), 4}},
          {"gil_locked", {Address(0x40000), 4}},   {"gil_last_holder", {Address(0x48010), 8}},
          {"gil_cond", {Address(0x48020), 48}},    {"gil_mutex", {Address(0x48050), 40}},
          {"switch_cond", {Address(0x48080), 48}}, {"switch_mutex", {Address(0x480b0), 40}}};
}

TEST(RuntimePlaces, TheVariablesLookLikeOneStruct) {
  FakeMemory memory;
  const std::optional<RuntimePlaces> places = find_runtime_places(memory, found(all_symbols()));
  ASSERT_TRUE(places);
  EXPECT_EQ(places->address, Address(0x40000));
  EXPECT_EQ(places->runtime.interpreters_head.offset, 0x10000);
  EXPECT_EQ(places->runtime.gc_collecting.offset, 0x12000);
  EXPECT_EQ(places->runtime.ceval_gil.offset, 0);
  EXPECT_EQ(places->gil.locked.offset, 0);
  EXPECT_EQ(places->gil.last_holder.offset, 0x8010);
  EXPECT_EQ(places->gil.cond_size, 48);
  EXPECT_FALSE(places->runtime.interpreters_main.exists());
}

TEST(RuntimePlaces, HalfOfAGilIsNone) {
  FakeMemory memory;
  auto symbols = all_symbols();
  symbols.erase("switch_mutex");
  const std::optional<RuntimePlaces> places = find_runtime_places(memory, found(symbols));
  ASSERT_TRUE(places);
  EXPECT_FALSE(places->runtime.ceval_gil.exists());
  EXPECT_FALSE(places->gil.locked.exists());
  EXPECT_EQ(places->address, Address(0x48000));
}

TEST(RuntimePlaces, AVariableOfAnotherLibraryIsNotTaken) {
  FakeMemory memory;
  auto symbols = all_symbols();
  symbols["collecting"].address = Address(0x50000000);
  const std::optional<RuntimePlaces> places = find_runtime_places(memory, found(symbols));
  ASSERT_TRUE(places);
  EXPECT_FALSE(places->runtime.gc_collecting.exists());
  EXPECT_TRUE(places->runtime.ceval_gil.exists());
}

TEST(RuntimePlaces, StrippedTheInterpretersAreFoundByTheFunctionThatReturnsThem) {
  FakeMemory memory;
  // endbr64; mov 0x1234(%rip),%rax; ret
  memory.put_bytes(Address(0x1000),
                   std::as_bytes(std::span("\xf3\x0f\x1e\xfa\x48\x8b\x05\x34\x12\x00\x00\xc3")));
  const std::map<std::string_view, Symbol> symbols{{"PyInterpreterState_Head", {Address(0x1000), 12}}};
  const std::optional<RuntimePlaces> places = find_runtime_places(memory, found(symbols));
  ASSERT_TRUE(places);
  EXPECT_EQ(places->address, Address(0x100b + 0x1234));
  EXPECT_EQ(places->runtime.interpreters_head.offset, 0);
  EXPECT_FALSE(places->runtime.ceval_gil.exists());
}

TEST(RuntimePlaces, NothingIsFoundWhereNothingTells) {
  FakeMemory memory;
  auto symbols = all_symbols();
  symbols.erase("interp_head");
  EXPECT_FALSE(find_runtime_places(memory, found(symbols)));
  memory.put_bytes(Address(0x1000), std::as_bytes(std::span("\x31\xc0\xc3\x48\x8b\x05\x34\x12\x00\x00")));
  symbols["PyInterpreterState_Head"] = {Address(0x1000),
                                        3};  // xor %eax,%eax; ret: what follows is not its own
  EXPECT_FALSE(find_runtime_places(memory, found(symbols)));
}

}  // namespace
}  // namespace pythreads::pyframes
