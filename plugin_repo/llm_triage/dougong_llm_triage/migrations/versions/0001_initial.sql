CREATE TABLE llm_triage.endpoint (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	url VARCHAR(300) NOT NULL, 
	model VARCHAR(120) NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	api_key BYTEA, 
	CONSTRAINT pk_endpoint PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_endpoint_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

