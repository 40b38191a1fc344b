"""What scripts/coro_docs reads out of a header."""
import importlib.machinery
import importlib.util
import pathlib
import textwrap

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/coro_docs"


def load():
    loader = importlib.machinery.SourceFileLoader("coro_docs", str(SCRIPT))
    spec = importlib.util.spec_from_loader("coro_docs", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


docs = load()


def entries(text):
    return docs.Reader(textwrap.dedent(text)).scope()


def declarations(text):
    return [(entry.kind, entry.name, entry.declaration) for entry in entries(text)]


def test_bodies_and_initialisers_are_left_out():
    [found] = entries("""
        /// A thing.
        class thing {
         public:
          /// Made of a text.
          explicit thing(std::string text = {}, int n = f({1, 2})) : text_{std::move(text)}, n_(n) { use("}"); }
          bool operator==(const thing& other) const { return n_ == other.n_; }
          std::string text() const& { return text_; }  // a comment with a {

         private:
          void hidden();
          std::string text_;
        };
        """)
    assert [member.declaration for member in found.members] == [
        "explicit thing(std::string text = {}, int n = f({1, 2}));",
        "bool operator==(const thing& other) const;",
        "std::string text() const&;"]
    assert found.members[0].doc == ["Made of a text."]


def test_kinds_are_told_apart():
    assert declarations("""
        namespace awm::coro {
        std::function<void(int)> callback;
        std::function<double()> random();
        inline constexpr auto token = make(1, [](int a) { return a; });
        using pair = std::pair<int, int>;
        enum class end { joined, cancelled };
        class later;
        friend class other;
        template <class T>
          requires(!std::is_void_v<T>)
        asio::awaitable<std::vector<T>> all(std::vector<asio::awaitable<T>> tasks) {
          co_return co_await settle(std::move(tasks));
        }
        namespace detail { void hidden(); }
        }  // namespace awm::coro
        """) == [
        ("variable", "callback", "std::function<void(int)> callback;"),
        ("function", "random", "std::function<double()> random();"),
        ("variable", "token", "inline constexpr auto token = make(1, [](int a) { return a; });"),
        ("alias", "pair", "using pair = std::pair<int, int>;"),
        ("enum", "end", "enum class end { joined, cancelled };"),
        ("function", "all", "template <class T>\n  requires(!std::is_void_v<T>)\n"
                            "asio::awaitable<std::vector<T>> all(std::vector<asio::awaitable<T>> tasks);")]


def test_nested_classes_and_access():
    [outer] = entries("""
        struct outer {
          struct inner {
            int a = 0;  ///< the first
          };
         protected:
          int hidden;
         public:
          virtual int shown() const = 0;
        };
        """)
    assert [(member.kind, member.name) for member in outer.members] == [("class", "inner"), ("function", "shown")]
    assert outer.members[0].members[0].doc == ["the first"]
    assert outer.members[1].declaration == "virtual int shown() const = 0;"


def test_points_stand_alone_and_text_flows():
    doc = ["Waits until", "it happens.", "", "Fair: first come,", "first served.", "Cost: a call.", "Destroying it ends the wait."]
    assert docs.prose(docs.blocks(doc)) == ("Waits until it happens.\n\n- **Fair:** first come, first served.\n- **Cost:** a call.\n"
                                            "- **Destroying** it ends the wait.")
    assert docs.prose(docs.blocks(["Empty: this process's own."])) == "Empty: this process's own."


def test_code_spans_are_not_broken():
    text = "word " * 22 + "`a code span`"
    assert "`a code span`" in docs.wrap(text).split("\n")


def test_what_a_class_says_of_copying():
    [neither] = entries("class a { public: a(const a&) = delete; a& operator=(const a&) = delete; };")
    [moved] = entries("class b { public: b(b&& other) noexcept : x(other.x) {} };")
    assert (docs.copies(neither), docs.copies(moved)) == ("Can be neither copied nor moved.", "Can be moved, not copied.")
    assert not any(docs.is_shown(member) for member in neither.members + moved.members)
