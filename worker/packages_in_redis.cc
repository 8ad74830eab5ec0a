#include <deque>
#include <utility>

#include "base/redis_link.h"
#include "store/keys.h"
#include "worker/package_source.h"

namespace fanfare::worker {
namespace {

class PackagesInRedis final : public PackageSource {
 public:
  PackagesInRedis(Loop& loop, RedisOptions redis)
      : link_(loop, std::move(redis),
              RedisLink::Handlers{.on_up =
                                      [this] {
                                        for (auto& waiting : std::exchange(waiting_, {})) {
                                          ask(std::move(waiting.digest), std::move(waiting.done));
                                        }
                                      },
                                  .on_down = {}}) {}

  void fetch(const std::string& digest, Done done) override {
    if (link_.up()) return ask(digest, std::move(done));
    waiting_.push_back({digest, std::move(done)});
  }

 private:
  void ask(std::string digest, Done done) {
    const std::string_view command[] = {"HGET", store::kPackagesKey, digest};
    link_.call(std::span<const std::string_view>(command),
               [this, digest, done = std::move(done)](const RedisReply& reply) mutable {
                 if (reply.lost()) {
                   waiting_.push_back({std::move(digest), std::move(done)});
                   return;
                 }
                 if (reply.type() == RedisReply::Type::kString) {
                   return done(std::string{reply.text()});
                 }
                 done(reject("it is not in Redis"));
               });
  }

  struct Waiting {
    std::string digest;
    Done done;
  };
  std::deque<Waiting> waiting_;  // for Redis to come back
  RedisLink link_;
};

}  // namespace

std::unique_ptr<PackageSource> packages_in_redis(Loop& loop, RedisOptions redis) {
  return std::make_unique<PackagesInRedis>(loop, std::move(redis));
}

}  // namespace fanfare::worker
