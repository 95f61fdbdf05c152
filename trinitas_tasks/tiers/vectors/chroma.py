"""Chroma, by way of its server (provisional)."""
from __future__ import annotations
import hashlib
from collections.abc import Sequence
from typing import Any
import chromadb, httpx, numpy as np
from chromadb.config import Settings
from trinitas_tasks.errors import Unavailable, DeadlineExceeded
from trinitas_tasks.tiers.vectors.interface import Near

class ChromaVectors:
    def __init__(self, host: str, port: int, *, namespace: str, model: str, deadline_ms: int) -> None:
        self._a=(host,port,namespace,model,deadline_ms); self._c: Any=None; self._k: dict[str,Any]={}
    def _client(self) -> Any:
        if self._c is None:
            self._c=chromadb.HttpClient(host=self._a[0],port=self._a[1],settings=Settings(anonymized_telemetry=False))
        return self._c
    def _name(self,p:str)->str: return f"{self._a[2]}.{p}.{hashlib.sha1(self._a[3].encode()).hexdigest()[:8]}"
    def _col(self,p:str,create:bool)->Any:
        if p not in self._k:
            try:
                if create: self._k[p]=self._client().get_or_create_collection(self._name(p),embedding_function=None,configuration={"hnsw":{"space":"cosine"}})
                else: self._k[p]=self._client().get_collection(self._name(p),embedding_function=None)
            except chromadb.errors.NotFoundError: return None
            except (ValueError,httpx.HTTPError) as e: raise Unavailable(str(e)) from e
        return self._k[p]
    def upsert(self,persona:str,ids:Sequence[str],vectors:Any)->None:
        try: self._col(persona,True).upsert(ids=list(ids),embeddings=vectors)
        except httpx.HTTPError as e: raise Unavailable(str(e)) from e
    def query(self,persona:str,vector:Any,limit:int)->list[Near]:
        c=self._col(persona,False)
        if c is None: return []
        try: r=c.query(query_embeddings=[vector],n_results=limit,include=["distances"])
        except httpx.HTTPError as e: raise Unavailable(str(e)) from e
        return [Near(i,1-d) for i,d in zip(r["ids"][0],r["distances"][0])]
    def delete(self,persona:str,ids:Sequence[str])->None:
        c=self._col(persona,False)
        if c is not None: c.delete(ids=list(ids))
    def count(self,persona:str)->int:
        c=self._col(persona,False)
        return 0 if c is None else int(c.count())
    def ping(self)->None: self._client().heartbeat()
    def close(self)->None: pass
