CREATE TABLE online_payment.merchant_account (
	group_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	legal_entity_id UUID NOT NULL, 
	provider VARCHAR(40) NOT NULL, 
	number VARCHAR(40) NOT NULL, 
	app_id VARCHAR(40) NOT NULL, 
	serial VARCHAR(64), 
	platform_key TEXT NOT NULL, 
	platform_key_id VARCHAR(80), 
	base_url VARCHAR(200), 
	app_url VARCHAR(200), 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	tested_at TIMESTAMP WITH TIME ZONE, 
	private_key BYTEA NOT NULL, 
	notice_key BYTEA, 
	app_secret BYTEA, 
	CONSTRAINT pk_merchant_account PRIMARY KEY (group_id, id), 
	CONSTRAINT uq_merchant_account_group_id_legal_entity_id_provider UNIQUE (group_id, legal_entity_id, provider), 
	CONSTRAINT fk_merchant_account_legal_entity_id FOREIGN KEY(group_id, legal_entity_id) REFERENCES dougong.legal_entity (group_id, id), 
	CONSTRAINT fk_merchant_account_ FOREIGN KEY(group_id) REFERENCES dougong.property_group (id), 
	CONSTRAINT ck_merchant_account_provider CHECK (provider IN ('wechat_pay', 'alipay', 'campus_card'))
);

CREATE INDEX ix_merchant_account_legal_entity_id ON online_payment.merchant_account (group_id, legal_entity_id);

