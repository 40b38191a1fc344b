#pragma once

#include "mcp/era.hpp"
#include "mcp/prompt.hpp"
#include "mcp/request_state.hpp"
#include "mcp/resource.hpp"
#include "mcp/schema.hpp"
#include "mcp/tool.hpp"
#include "mcp/uri_template.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace awm::mcp {

/// What a server says about itself.
struct server_info {
  std::string name = {};
  std::string version = {};
  std::string title = {};          ///< for people; may be empty
  std::string instructions = {};   ///< for the model: how the tools work together; may be empty
  std::string description = {};    ///< for people; may be empty
  std::string website_url = {};    ///< may be empty
  nlohmann::json icons = nullptr;  ///< an array of {src, mimeType, sizes, theme}; null: none
};

/// What a server has to offer.
struct offering {
  std::vector<tool> tools = {};
  std::vector<resource> resources = {};
  std::vector<resource_template> templates = {};
  std::vector<prompt> prompts = {};
};

/// What can change in it while sessions run.
struct server_change {
  enum class kind {
    tools,      ///< the list of tools
    prompts,    ///< the list of prompts
    resources,  ///< the list of resources
    contents,   ///< what the resource `uri` contains
  };
  kind what;
  std::string uri;
};

/// What a server offers, the same for every session: it holds no state of any client. Single-threaded, as its sessions.
class server {
 public:
  struct offered_tool {
    tool declaration;
    schema input;
  };
  struct offered_template {
    resource_template declaration;
    uri_template form;
  };

  /// Whoever is told of changes.
  class observer {
   public:
    observer() = default;
    observer(const observer&) = delete;
    observer& operator=(const observer&) = delete;
    virtual ~observer() = default;
    virtual void changed(const server_change& what) = 0;
  };

  /// Lists longer than `page_size` are given out in pages.
  explicit server(server_info info, offering what = {}, std::size_t page_size = 500);
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// @name Offering more, and less. Sessions tell their clients.
  /// `add` throws `std::invalid_argument`, naming the thing, for one without a handler or with a bad or double name,
  /// and for a tool with a schema that is none or whose root is no object. `remove` ignores unknown names; calls that
  /// run go on.
  /// @{
  void add(tool one);
  void add(resource one);
  void add(resource_template one);
  void add(prompt one);
  void remove_tool(std::string_view name);
  void remove_prompt(std::string_view name);
  /// @}

  /// The list of resources is another one: what a template's `list` returns has changed.
  void resources_changed() { tell({server_change::kind::resources, {}}); }
  /// The resource has new contents. Clients that subscribed to it are told.
  void resource_updated(std::string uri) { tell({server_change::kind::contents, std::move(uri)}); }

  /// Until `forget`, or the end of the server.
  void tell_changes_to(observer& who) { observers_.push_back(&who); }
  void forget(observer& who) { std::erase(observers_, &who); }

  const server_info& info() const { return info_; }
  bool has_resources() const { return !resources_.empty() || !templates_.empty(); }
  bool has_prompts() const { return !prompts_.empty(); }
  bool has_tasks() const;

  /// @name null when there is none of that name. What is found stays valid when it is removed.
  /// @{
  std::shared_ptr<const offered_tool> find_tool(std::string_view name) const;
  std::shared_ptr<const resource> find_resource(std::string_view uri) const;
  std::shared_ptr<const prompt> find_prompt(std::string_view name) const;
  /// By its text, not by a URI of its form.
  std::shared_ptr<const offered_template> find_template(std::string_view uri_template) const;
  /// @}
  /// The first template of whose form `uri` is, and the values of its variables.
  std::shared_ptr<const offered_template> match_template(std::string_view uri, uri_variables& variables) const;
  /// Whether `uri` is that of a resource, or of the form of a template.
  bool knows(std::string_view uri) const;
  std::vector<std::string> tool_names() const;
  std::vector<std::string> prompt_names() const;

  /// The results of `initialize` and `server/discover`, with nothing in them that `to` does not know.
  nlohmann::json describe(const dialect& to) const;

  /// @name The results of the lists, or an error for a cursor that this server did not give out.
  /// `cursor` is empty for the first page.
  /// @{
  rpc_outcome list_tools(const std::string& cursor, const dialect& to) const;
  rpc_outcome list_prompts(const std::string& cursor, const dialect& to) const;
  rpc_outcome list_resources(const std::string& cursor, const dialect& to) const;
  rpc_outcome list_templates(const std::string& cursor, const dialect& to) const;
  /// @}

  /// Adds what every result of `to`'s era has.
  nlohmann::json finish(nlohmann::json result, const dialect& to) const;

  /// Seals what clients bring back.
  const state_seal& seal() const { return seal_; }

 private:
  void tell(const server_change& what) const;
  nlohmann::json capabilities(const dialect& to) const;
  rpc_outcome page(const char* name, nlohmann::json items, const char* key, const std::string& cursor,
                   const dialect& to) const;

  server_info info_;
  nlohmann::json identity_;  // name and version: a part of every result of the stateless era
  std::size_t page_size_;
  std::vector<std::shared_ptr<const offered_tool>> tools_;
  std::vector<std::shared_ptr<const resource>> resources_;
  std::vector<std::shared_ptr<const offered_template>> templates_;
  std::vector<std::shared_ptr<const prompt>> prompts_;
  std::vector<observer*> observers_;
  state_seal seal_;
};

/// How long a client of the stateless era may keep a result, and for whom.
void add_cache_hint(nlohmann::json& result, const cache_hint& hint, const dialect& to);

/// The result of a `tools/call`.
nlohmann::json call_result(tool_result result, const dialect& to);

/// The name of the tasks extension, in the capabilities of both sides.
inline constexpr auto tasks_extension = "io.modelcontextprotocol/tasks";

}  // namespace awm::mcp
