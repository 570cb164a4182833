"""What the loopback Hub answers about branches, tags and history; a part of `HubHandler`."""

from tests.made.hub_repository import HubError

USER = "loopback"


class HubRefs:
    """The requests that read and change references."""

    def list_refs(self) -> None:
        def described(folder: str, pointers: dict[str, str]) -> list[dict[str, str]]:
            return [{"name": n, "ref": f"refs/{folder}/{n}", "targetCommit": sha} for n, sha in pointers.items()]

        refs = self.repo.refs
        pointers = {"branches": described("heads", refs["branches"]), "tags": described("tags", refs["tags"])}
        self.reply(pointers | {"converts": [], "pullRequests": []})

    def create_branch(self, name: str) -> None:
        self.add_ref("branches", name, self.repo.commit(self.json.get("startingPoint") or "main")["id"])

    def create_tag(self, revision: str) -> None:
        self.add_ref("tags", self.json["tag"], self.commit["id"])

    def add_ref(self, group: str, name: str, sha: str) -> None:
        with self.hub.lock:
            refs = self.repo.refs
            if name in refs[group]:
                raise HubError(409, f"Reference {name} already exists")
            refs[group][name] = sha
            self.repo.save_refs(refs)
        self.reply()

    def list_commits(self, revision: str) -> None:
        authors = {"authors": [{"user": USER}]}
        wanted = ("id", "title", "message", "date")
        self.reply([{name: commit[name] for name in wanted} | authors for commit in self.repo.history(revision)])

    def delete_branch(self, name: str) -> None:
        if name == "main":
            raise HubError(403, "Cannot delete the main branch")
        self.delete_ref("branches", name)

    def delete_tag(self, name: str) -> None:
        self.delete_ref("tags", name)

    def delete_ref(self, group: str, name: str) -> None:
        with self.hub.lock:
            refs = self.repo.refs
            if refs[group].pop(name, None) is None:
                raise HubError(404, f"Reference {name} does not exist", "RevisionNotFound")
            self.repo.save_refs(refs)
        self.reply()

    def squash(self, branch: str) -> None:
        """Makes one commit without a parent of all that a branch holds; tags keep what they point at."""
        with self.hub.lock:
            commit = self.repo.commit(branch)
            title = self.json.get("message") or f"Super-squash branch {branch}"
            self.repo.add_commit(branch, commit["tree"], title, "", parent=None)
        self.reply()
