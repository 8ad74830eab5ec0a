// Taking office, layouts, functions and workers: what these calls do to a real Redis.
#include <gmock/gmock.h>

#include "store/library.h"
#include "store/library_fixture.h"

namespace fanfare::store::test {
namespace {

TEST_F(Library, GivesEachBrokerAHigherEpoch) {
  EXPECT_EQ(store.get<Begun>(Begin{}).epoch, 2u);
  EXPECT_EQ(store.get<Begun>(Begin{}).epoch, 3u);
}

TEST_F(Library, RefusesTheLayoutOfANewerProgramAndSaysWhich) {
  store.command({"HSET", "fanfare:meta", "layout", "3"});
  EXPECT_EQ(store.refusal(Begin{}), ErrorKind::kFatal);
  EXPECT_THAT(
      store.command({"FCALL", "fanfare2_begin", "1", "fanfare:meta", "0"}),
      ::testing::StartsWith("(error) BADLAYOUT the data has layout 3, this program knows 2"));
  store.command({"HSET", "fanfare:meta", "layout", "else"});
  EXPECT_THAT(
      store.command({"FCALL", "fanfare2_begin", "1", "fanfare:meta", "0"}),
      ::testing::StartsWith("(error) BADLAYOUT the data has layout unknown, this program knows 2"));
  store.command({"HSET", "fanfare:meta", "layout", "1"});
}

TEST_F(Library, GivesNewDataTheNewestLayoutAndLeavesOlderDataAlone) {
  EXPECT_EQ(store.command({"HGET", "fanfare:meta", "layout"}), "2");
  store.command({"HSET", "fanfare:meta", "layout", "1"});
  EXPECT_EQ(store.get<Begun>(Begin{}).layout, 1u);
  EXPECT_EQ(store.get<Begun>(Begin{1}).layout, 1u);
  EXPECT_EQ(store.get<Begun>(Begin{2}).layout, 2u);
  EXPECT_EQ(store.command({"HGET", "fanfare:meta", "layout"}), "2");
  EXPECT_EQ(store.get<Begun>(Begin{1}).layout, 2u) << "there is no way back";
}

// What an older program wrote is read as ever, and it reads what is written for it.
TEST_F(Library, ReadsEntriesOfBothLayouts) {
  store.command({"HSET", "fanfare:meta", "layout", "1"});
  store.get<Appended>(append_of(entry(1), 3));
  EXPECT_EQ(store.snapshot().at(journal_key(kFunction, {})), "1700000000001-0 (0,e0,1,e1,2,e2,)\n");
  store.get<Begun>(Begin{2});
  store.get<Appended>(append_of(entry(2), 3, 2));
  store.get<Appended>(append_of(entry(3), 1, 2));
  commit({{entry(1), 3, {1}}, {entry(2), 3, {1}}});
  const auto paged = store.get<Paged>(Page{.function = std::string{kFunction}});
  ASSERT_EQ(paged.entries.size(), 3u);
  for (std::size_t i = 0; i < 2; ++i) {
    ASSERT_EQ(paged.entries[i].entry_size, 3u);
    ASSERT_EQ(paged.entries[i].open.size(), 2u);
    EXPECT_EQ(paged.entries[i].open[1].index, 2);
    EXPECT_EQ(paged.entries[i].open[1].slot, 2);
    EXPECT_EQ(paged.entries[i].open[1].packed_event, "e2");
  }
  EXPECT_EQ(paged.entries[2].open.at(0).packed_event, "e0");
}

std::string library_with_migrations(const std::string& second) {
  std::string text = library_text();
  const auto replace = [&text](const std::string& right, const std::string& other) {
    const std::size_t at = text.find(right);
    ASSERT_NE(at, std::string::npos) << right;
    text.replace(at, right.size(), other);
  };
  replace("local kLayout = '2'", "local kLayout = '3'");
  replace(
      "local kMigrations = {['1'] = function() end}",
      "local kMigrations = {['1'] = function() call('INCR', 'first') end, ['2'] = " + second + "}");
  return text;
}

TEST_F(Library, BringsOldDataToItsLayoutStepByStepAndOnce) {
  store.command({"HSET", "fanfare:meta", "layout", "1"});
  store.command({"FUNCTION", "LOAD", "REPLACE",
                 library_with_migrations("function(meta) call('HSET', meta, 'second', '1') end")});
  for (int time = 0; time < 2; ++time) {
    store.command({"FCALL", "fanfare2_begin", "1", "fanfare:meta", "3"});
    EXPECT_EQ(store.command({"HGET", "fanfare:meta", "layout"}), "3");
    EXPECT_EQ(store.command({"GET", "first"}), "1");
    EXPECT_EQ(store.command({"HGET", "fanfare:meta", "second"}), "1");
  }
  store.command({"HSET", "fanfare:meta", "layout", "1"});
}

TEST_F(Library, KeepsTheLayoutBeforeAStepThatFailed) {
  store.command({"HSET", "fanfare:meta", "layout", "1"});
  store.command({"FUNCTION", "LOAD", "REPLACE",
                 library_with_migrations("function() error({err = 'ERR no room'}) end")});
  EXPECT_THAT(store.command({"FCALL", "fanfare2_begin", "1", "fanfare:meta", "3"}),
              ::testing::StartsWith("(error) ERR no room"));
  EXPECT_EQ(store.command({"HGET", "fanfare:meta", "layout"}), "2");
  EXPECT_EQ(store.command({"HGET", "fanfare:meta", "epoch"}), "1") << "nobody has taken office";
  store.command({"HSET", "fanfare:meta", "layout", "1"});
}

TEST_F(Library, TellsANewBrokerTheLastEntry) {
  store.get<Appended>(append_of(entry(5), 2));
  EXPECT_EQ(store.get<Begun>(Begin{}).last_entry, entry(5));
}

TEST_F(Library, FencesTheCallsOfAnOldBroker) {
  store.get<Appended>(append_of(entry(1), 2));
  store.get<Begun>(Begin{});
  const auto before = store.snapshot();
  EXPECT_EQ(store.refusal(append_of(entry(2), 1)), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(postpone_of({{entry(1), 2, {0}}})), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(bury_of({{entry(1), 2, {0}}})), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(Deploy{1, "f", "", "ab"}), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(Remove{1, "f"}), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(SetState{1, "f", true}), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(NoteWorker{1, "w", "x"}), ErrorKind::kStale);
  EXPECT_EQ(store.snapshot(), before);
}

TEST_F(Library, KeepsTheStateOfAFunctionThroughADeployment) {
  EXPECT_FALSE(store.get<StateSet>(SetState{1, "a", true}).existed);
  store.get<Deployed>(Deploy{1, "a", "v = 1\n", "00"});
  EXPECT_TRUE(store.get<StateSet>(SetState{1, "a", true}).existed);
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "a", "v = 2\n", "01"}).generation, 2u);
  const auto held = store.get<FunctionList>(ListFunctions{}).functions.at(0);
  EXPECT_TRUE(held.paused);
  EXPECT_EQ(held.manifest_toml, "v = 2\n");
  EXPECT_EQ(held.digest, "01");
  EXPECT_EQ(held.generation, 2u);
  EXPECT_TRUE(store.get<StateSet>(SetState{1, "a", false}).existed);
  EXPECT_FALSE(store.get<FunctionList>(ListFunctions{}).functions.at(0).paused);
}

TEST_F(Library, KeepsTheRegistryOfFunctions) {
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "a", "name = 'a'\n", "00"}).generation, 1u);
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "b", "", "01"}).generation, 2u);
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "a", "name = 'a'\n", "00"}).generation, 1u);
  EXPECT_TRUE(store.get<Removed>(Remove{1, "b"}).existed);
  EXPECT_FALSE(store.get<Removed>(Remove{1, "b"}).existed);
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "b", "", "01"}).generation, 3u);
  const auto list = store.get<FunctionList>(ListFunctions{}).functions;
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].name, "a");
  EXPECT_EQ(list[0].manifest_toml, "name = 'a'\n");
  EXPECT_EQ(list[0].digest, "00");
  EXPECT_FALSE(list[0].paused);
}

TEST_F(Library, KeepsTheLatestGenerationsAndTheirPackages) {
  for (const char* digest : {"00", "01", "02"}) {
    store.command({"HSET", "fanfare:packages", digest, "bytes"});
  }
  store.get<Deployed>(Deploy{1, "other", "", "01", 1000, 0, 2});
  store.get<Deployed>(Deploy{1, "f", "v = 1\n", "00", 1000, 0, 2});
  store.get<Deployed>(Deploy{1, "f", "v = 2\n", "01", 2000, 0, 2});
  EXPECT_FALSE(store.get<Deployed>(Deploy{1, "f", "v = 2\n", "01", 2500, 0, 2}).changed);
  EXPECT_EQ(store.command({"HLEN", "fanfare:packages"}), "3") << "both are kept";
  EXPECT_TRUE(store.get<Deployed>(Deploy{1, "f", "v = 1\n", "02", 3000, 7, 2}).changed);

  auto list = store.get<GenerationList>(ListGenerations{"f"}).items;
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].generation, 4u);
  EXPECT_EQ(list[0].deployed_ms, 3000);
  EXPECT_EQ(list[0].from, 7u);
  EXPECT_EQ(list[0].digest, "02");
  EXPECT_TRUE(list[0].has_package);
  EXPECT_EQ(list[1].manifest_toml, "v = 2\n");
  EXPECT_EQ(store.command({"HEXISTS", "fanfare:packages", "00"}), "0") << "nobody needs it now";

  store.command({"HDEL", "fanfare:packages", "02"});
  EXPECT_FALSE(store.get<GenerationList>(ListGenerations{"f"}).items[0].has_package);
  EXPECT_TRUE(store.get<Removed>(Remove{1, "f"}).existed);
  EXPECT_TRUE(store.get<GenerationList>(ListGenerations{"f"}).items.empty());
  EXPECT_EQ(store.command({"HEXISTS", "fanfare:packages", "01"}), "1") << "another one runs it";
  store.get<Removed>(Remove{1, "other"});
  EXPECT_EQ(store.command({"HLEN", "fanfare:packages"}), "0");
}

TEST_F(Library, TakesWhatAnOlderBuildRegisteredForTheGenerationBefore) {
  store.command({"HSET", "fanfare:functions", "f", "3 active 00\nv = 1\n"});
  store.command({"HSET", "fanfare:meta", "generation", "3"});
  store.get<Deployed>(Deploy{1, "f", "v = 2\n", "01", 2000});
  // And a broker of that build deploys once more, which knows nothing of what is kept.
  store.command({"HSET", "fanfare:functions", "f", "5 active 02\nv = 3\n"});
  store.command({"HSET", "fanfare:meta", "generation", "5"});
  store.get<Deployed>(Deploy{1, "f", "v = 4\n", "03", 4000});
  const auto list = store.get<GenerationList>(ListGenerations{"f"}).items;
  ASSERT_EQ(list.size(), 4u);
  EXPECT_EQ(list[0].generation, 6u);
  EXPECT_EQ(list[1].generation, 5u);
  EXPECT_EQ(list[1].deployed_ms, 0) << "that is not known";
  EXPECT_EQ(list[1].manifest_toml, "v = 3\n");
  EXPECT_EQ(list[2].generation, 4u);
  EXPECT_EQ(list[3].generation, 3u);
}

TEST_F(Library, KeepsTheListOfWorkers) {
  store.get<Noted>(NoteWorker{1, "w2", "x"});
  store.get<Noted>(NoteWorker{1, "w1", "x"});
  EXPECT_EQ(store.get<WorkerList>(ListWorkers{}).names, (std::vector<std::string>{"w1", "w2"}));
  store.get<Noted>(NoteWorker{1, "w2", "x", true});
  EXPECT_EQ(store.get<WorkerList>(ListWorkers{}).names, std::vector<std::string>{"w1"});
}

}  // namespace
}  // namespace fanfare::store::test
