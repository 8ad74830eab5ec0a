// The calls on topics: who subscribes to what is published to them. What a definition says is the
// broker's own (broker/topic_table.h), which alone changes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fanfare::store {

inline constexpr std::size_t kTopicsMax = 10'000;
inline constexpr std::size_t kTopicDefinitionMax = 128u << 10;
inline constexpr std::size_t kTopicsAtOnceMax = 256;
inline constexpr std::size_t kTopicBytesAtOnceMax = 256u << 10;  // names and definitions

// Defines topics, each name once, or removes them: those of one call all have a definition, or none
// has. All are written or none. Fenced by the epoch.
struct SetTopics {
  struct Item {
    std::string name;
    std::string definition;
  };
  std::uint32_t epoch = 0;
  std::vector<Item> items;  // 1 to kTopicsAtOnceMax, and kTopicBytesAtOnceMax
};
struct TopicsSet {
  bool full = false;  // there would be more than kTopicsMax: nothing was written
};

// A part of all topics, in no order; one that is there all the time is told at least once. Read
// only.
struct ListTopics {
  std::string cursor;  // empty: from the beginning
};
struct TopicList {
  struct Item {
    std::string name, definition;
  };
  std::vector<Item> items;
  std::string next;  // the cursor to go on with; empty: that was all
};

}  // namespace fanfare::store
